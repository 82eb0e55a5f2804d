#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "core/device/device_stack.hpp"
#include "core/device/sysfs.hpp"

namespace seedbed {

/// The block devices whose bytes are also bytes of \p device: itself, the partitions of a disk, the disk of a
/// partition. Devices stacked on it (dm, md) are not included: they hold it, which O_EXCL detects.
[[nodiscard]] std::vector<dev_t> devices_sharing_bytes(dev_t device, system_paths const& paths = {});

/// A file system that is mounted from a device.
struct mounted_file_system {
    std::string mount_point; ///< "btrfs UUID" if it is only known that a member of it is mounted
    dev_t device = 0;
    bool writable = false; ///< of the file system itself: a read-only mount may be of a writable one
};

/// Finds a mounted file system that shares bytes with \p stack at any level; prefers a writable one. Sees only the
/// caller's mount namespace.
[[nodiscard]] std::optional<mounted_file_system> find_mounted(device_stack const& stack,
                                                              system_paths const& paths = {});

/// Finds active swap space, a device or a file, that shares bytes with \p stack.
/// \return its path.
[[nodiscard]] std::optional<std::string> find_swap(device_stack const& stack, system_paths const& paths = {});

/// The names of the devices that are built on any of \p devices, from sysfs ("dm-0", "md127"), for a message.
[[nodiscard]] std::vector<std::string> find_holders(std::vector<dev_t> const& devices, system_paths const& paths = {});

/// The serial numbers that the kernel and udev report for the disk that \p device is or is part of, without leading and
/// trailing blanks. Empty if none is known, as for loop devices. One disk may have several, as its sources spell it
/// differently.
[[nodiscard]] std::vector<std::string> device_serials(dev_t device, system_paths const& paths = {});

} // namespace seedbed
