#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "core/device/device_guards.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// Identifies a device or a file, to find out later, perhaps after a reboot, whether a path leads to the same one, and
/// whether it has been written to meanwhile.
struct device_identity {
    bool block_device = false;
    std::int64_t size = 0; ///< bytes

    // Of a block device.
    std::vector<std::string> serials; ///< of its disk; empty if it reports none
    std::int64_t start = 0;           ///< of a partition on its disk, in bytes
    std::uint64_t disk_sequence = 0;  ///< number of this disk among all since boot (diskseq); 0 if unknown
    std::string boot;                 ///< ID of this boot of the system
    /// Sectors of 512 bytes written and discarded through this device since it appeared; -1 if the kernel does not
    /// count them.
    std::int64_t sectors_written = -1;
    /// The same for its whole disk: written through the disk and through all its partitions.
    std::int64_t disk_sectors_written = -1;

    // Of a file.
    std::uint64_t file_system = 0; ///< its device number; on some file systems a new one after each mount
    std::uint64_t inode = 0;
    std::int64_t born = 0;    ///< creation time in nanoseconds; 0 if unknown
    std::int64_t changed = 0; ///< modification time in nanoseconds; for a loop device, that of its file

    friend bool operator==(device_identity const&, device_identity const&) = default;
};

/// Identifies the device or file at \p path. Reads a few files of sysfs; not for the network thread.
[[nodiscard]] result<device_identity> identify_device(std::string const& path, system_paths const& paths = {});
/// The same for a block device.
[[nodiscard]] device_identity identify_block_device(dev_t device, system_paths const& paths = {});

/// Why \p now is a different device from \p then, or cannot be recognised as the same; nothing if it is the same.
///
/// A disk that reports a serial number is recognised by it. One that does not is recognised, until the next boot, by
/// its position in the sequence of all disks. A file is recognised by its inode and creation time.
[[nodiscard]] std::optional<std::string> why_other_device(device_identity const& then, device_identity const& now);

/// Whether the device has been written to since \p then.
enum class device_change : std::uint8_t {
    none,    ///< certainly not: the kernel's counters of written sectors have not changed
    written, ///< certainly
    unknown  ///< the kernel does not count, the system was rebooted meanwhile, or a write elsewhere on the disk was
             ///< counted
};
/// Valid only if both are the same device.
///
/// A partition's counter does not see writes through the whole disk, which may lie within the partition: a change of
/// only the disk's counter makes the answer unknown. A loop device's counter does not see writes to its file: for a
/// loop device, the last change of that file is compared as well.
[[nodiscard]] device_change changed_since(device_identity const& then, device_identity const& now);

} // namespace seedbed
