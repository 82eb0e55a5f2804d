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
/// partition. Devices stacked on it (dm, md) are not among them: they hold it, which O_EXCL tells.
[[nodiscard]] std::vector<dev_t> devices_sharing_bytes(dev_t device, system_paths const& paths = {});

/// A file system that is mounted from a device.
struct mounted_file_system {
    std::string mount_point; ///< "btrfs UUID" if only that a member of it is mounted is known
    dev_t device = 0;
    bool writable = false; ///< of the file system itself: a mount that is read-only can show a writable one
};

/// Finds a mounted file system that shares bytes with \p stack, at whatever height; a writable one before others. Sees
/// the caller's mount namespace only.
[[nodiscard]] std::optional<mounted_file_system> find_mounted(device_stack const& stack,
                                                              system_paths const& paths = {});

/// Finds active swap space, a device or a file, that shares bytes with \p stack.
/// \return its path.
[[nodiscard]] std::optional<std::string> find_swap(device_stack const& stack, system_paths const& paths = {});

/// The names of the devices that are built on any of \p devices, from sysfs ("dm-0", "md127"): for a message.
[[nodiscard]] std::vector<std::string> find_holders(std::vector<dev_t> const& devices, system_paths const& paths = {});

/// The serial numbers that the kernel and udev know of the disk that \p device is or is a part of, without blanks at
/// the ends. Empty where nothing is known, as of loop devices. The same disk can have several, in the spellings of its
/// sources.
[[nodiscard]] std::vector<std::string> device_serials(dev_t device, system_paths const& paths = {});

} // namespace seedbed
