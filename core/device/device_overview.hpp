#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "core/device/device_guards.hpp"
#include "core/device/disk_content.hpp"
#include "core/device/file_block_device.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// One partition of a disk.
struct partition_overview {
    std::string path;      ///< "/dev/sda1"
    std::int64_t size = 0; ///< bytes
    disk_content content;
    std::string mount_point; ///< empty where it is not mounted
};

/// What a person wants to see of a device before it is overwritten, and what tells afterwards which one it was. Texts
/// are as the disk, the kernel and udev have them, empty where they are not known; a label can hold any byte.
struct device_overview {
    std::string path;        ///< as it was given
    std::string kernel_name; ///< "sda1"; empty for a regular file
    bool block_device = false;
    std::int64_t size = 0; ///< bytes

    std::string by_id; ///< its name in /dev/disk/by-id that tells most: with model and serial number
    std::string disk;  ///< "sda", where the device is a partition
    std::string model; ///< this and the next two: of the disk
    std::string serial;
    std::string wwn;
    std::string backing_file; ///< of a loop device

    disk_content content;
    std::string mount_point;                    ///< of it, or of what shares its bytes, partitions apart; or empty
    std::vector<partition_overview> partitions; ///< of a disk, in the order in which they lie on it
};

/// Looks at \p path. Reads sysfs, udev's files and a few KiB of the device and its partitions. Threads: any; blocks.
///
/// \param by_id udev's folder of links. The error is the guards' that the path is a device at all.
[[nodiscard]] result<device_overview, device_refusal>
look_over_device(std::string const& path, system_paths const& paths = {},
                 std::filesystem::path const& by_id = "/dev/disk/by-id");

} // namespace seedbed
