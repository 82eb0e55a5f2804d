#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed {

/// Where the kernel and udev describe devices; tests pass trees of their own.
struct system_paths {
    std::filesystem::path sysfs = "/sys";
    std::filesystem::path mountinfo = "/proc/self/mountinfo";
    std::filesystem::path swaps = "/proc/swaps";
    std::filesystem::path udev_data = "/run/udev/data";
    std::filesystem::path boot_id = "/proc/sys/kernel/random/boot_id";
    std::filesystem::path nodes = "/dev";
};

// Small readers of /sys, for code that examines block devices. Threads: any.

/// The unit of sizes and offsets in sysfs, in bytes, regardless of the disk's own sectors.
inline constexpr std::int64_t sysfs_sector = 512;

/// A device's number as sysfs and udev write it ("8:1"), and back.
[[nodiscard]] std::string number_pair(dev_t device);
[[nodiscard]] std::optional<dev_t> parse_number_pair(std::string const& text);

/// The whole content of a small file, unchanged; nothing if it cannot be opened or read. The kernel lists some
/// attributes that it cannot read, such as the wwid of a USB drive.
[[nodiscard]] std::optional<std::string> read_file(std::filesystem::path const& path);

/// The same; empty if it cannot be read.
[[nodiscard]] std::string read_text(std::filesystem::path const& path);

/// The number that is the whole content of a file; 0 if it is not a number.
[[nodiscard]] std::int64_t read_number(std::filesystem::path const& path);

/// Strips blanks at the ends, and NULs, with which some disks pad their texts.
[[nodiscard]] std::string trimmed(std::string_view text);

/// The folder of a device below /sys/devices; empty if sysfs does not know the device. \param sysfs its root.
[[nodiscard]] std::filesystem::path sysfs_folder(dev_t device, std::filesystem::path const& sysfs);

/// Whether the folder is a partition's.
[[nodiscard]] bool is_partition(std::filesystem::path const& folder);

/// The folders in \p folder; empty if it cannot be read.
[[nodiscard]] std::vector<std::filesystem::path> subfolders(std::filesystem::path const& folder);

/// A device above a disk in sysfs, and its bus or class.
struct parent_device {
    std::filesystem::path folder;
    std::string subsystem;
};
/// The devices above the disk in \p folder, nearest first. Folders that are not devices have no subsystem.
[[nodiscard]] std::vector<parent_device> parents_of(std::filesystem::path const& folder);

/// The backing file of the loop device with this folder, as the kernel names it; empty for other devices.
[[nodiscard]] std::string loop_backing_file(std::filesystem::path const& folder);

} // namespace seedbed
