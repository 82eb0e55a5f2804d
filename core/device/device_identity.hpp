#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device_guards.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// What is known of a device or a file to find out later, perhaps after a reboot, whether a path leads to the same one,
/// and whether anything has been written to it meanwhile.
struct device_identity {
    bool block_device = false;
    std::int64_t size = 0; ///< bytes

    // Of a block device.
    std::vector<std::string> serials; ///< of its disk; none where it tells none
    std::int64_t start = 0;           ///< of a partition on its disk, in bytes
    std::uint64_t disk_sequence = 0; ///< counts the disks that the kernel has seen since it was booted; 0 where unknown
    std::string boot;                ///< which time the system was booted
    /// Sectors of 512 bytes that were written and discarded by way of this device since it appeared; -1 where the
    /// kernel does not count them.
    std::int64_t sectors_written = -1;

    // Of a file.
    std::uint64_t file_system = 0; ///< its number; another one after each mount on some file systems
    std::uint64_t inode = 0;
    std::int64_t born = 0;    ///< nanoseconds; 0 where unknown
    std::int64_t changed = 0; ///< when its content was changed last, in nanoseconds; of a loop device, its file

    friend bool operator==(device_identity const&, device_identity const&) = default;
};

/// Looks at what \p path leads to. Reads a few files of sysfs; not for the network thread.
[[nodiscard]] result<device_identity> identify_device(std::string const& path, system_paths const& paths = {});

/// Why \p now is another device than \p then, or can not be told to be the same; nothing where it is the same.
///
/// A disk that tells a serial number is known by it. One that does not is known as long as the system runs, by its
/// place in the sequence of all disks. A file is known by its inode and when it was born.
[[nodiscard]] std::optional<std::string> why_other_device(device_identity const& then, device_identity const& now);

/// Whether something was written to the device after \p then.
enum class device_change : std::uint8_t {
    none,    ///< certainly nothing: the kernel counts what is written, and has counted nothing
    written, ///< certainly something
    unknown  ///< the kernel does not count, or was booted meanwhile
};
/// To be asked where it is the same device.
///
/// A partition's counter does not see who writes to the whole disk at its place, a loop device's not who writes to its
/// file: of that file the last change counts instead.
[[nodiscard]] device_change changed_since(device_identity const& then, device_identity const& now);

} // namespace seedbed
