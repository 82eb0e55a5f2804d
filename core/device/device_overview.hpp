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
    std::string content_problem; ///< why the content is unknown: it cannot be read
    std::string mount_point;     ///< empty if it is not mounted
};

/// What a person should see of a device before it is overwritten, and what identifies it afterwards. Texts are as
/// reported by the disk, the kernel and udev, and empty if unknown; a label can contain any byte.
struct device_overview {
    std::string path;        ///< as given
    std::string kernel_name; ///< "sda1"; empty for a regular file
    bool block_device = false;
    std::int64_t size = 0; ///< bytes

    std::string by_id; ///< its most readable name in /dev/disk/by-id: with model and serial number
    std::string disk;  ///< "sda", if the device is a partition
    std::string model; ///< this and the next two: of the disk
    std::string serial;
    std::string wwn;
    std::string backing_file; ///< of a loop device

    disk_content content;
    std::string content_problem; ///< why the content is unknown: it cannot be read
    std::string mount_point;     ///< its own or of one that shares its bytes, except partitions; may be empty
    std::vector<partition_overview> partitions; ///< of a disk, by position on the disk
};

/// What identifies the disk that a device is or belongs to, except its serial numbers: see device_serials(). Empty if
/// unknown.
struct disk_names {
    std::string model; ///< with the vendor, unless that is only the kind of interface
    std::string wwn;
};
/// Reads sysfs and udev's files. Threads: any; blocks.
[[nodiscard]] disk_names disk_names_of(dev_t device, system_paths const& paths = {});

/// Examines \p path. Reads sysfs, udev's files and a few KiB of the device and its partitions. Threads: any; blocks.
///
/// \param by_id udev's folder of links. Fails only if the path is not a device, with the refusal of that guard.
[[nodiscard]] result<device_overview, device_refusal>
look_over_device(std::string const& path, system_paths const& paths = {},
                 std::filesystem::path const& by_id = "/dev/disk/by-id");

} // namespace seedbed
