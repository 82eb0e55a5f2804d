#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed {

/// Where the kernel and udev describe devices; tests give trees of their own.
struct system_paths {
    std::filesystem::path sysfs = "/sys";
    std::filesystem::path mountinfo = "/proc/self/mountinfo";
    std::filesystem::path swaps = "/proc/swaps";
    std::filesystem::path udev_data = "/run/udev/data";
    std::filesystem::path boot_id = "/proc/sys/kernel/random/boot_id";
};

// Small readers of /sys, for what looks at block devices. Threads: any.

/// Bytes: the unit of sizes and offsets in sysfs, whatever the disk's own sectors are.
inline constexpr std::int64_t sysfs_sector = 512;

/// "8:1", as sysfs and udev write a device's number, and back.
[[nodiscard]] std::string number_pair(dev_t device);
[[nodiscard]] std::optional<dev_t> parse_number_pair(std::string const& text);

/// The whole of a small file, as it is; empty where it can not be read.
[[nodiscard]] std::string read_text(std::filesystem::path const& path);

/// The number that is the whole of such a file; 0 if it is none.
[[nodiscard]] std::int64_t read_number(std::filesystem::path const& path);

/// Without blanks at the ends, and NULs, with which a disk can pad what it says of itself.
[[nodiscard]] std::string trimmed(std::string_view text);

/// The folder of a device below /sys/devices; empty where sysfs does not know it. \param sysfs its root.
[[nodiscard]] std::filesystem::path sysfs_folder(dev_t device, std::filesystem::path const& sysfs);

/// Whether that folder is a partition's.
[[nodiscard]] bool is_partition(std::filesystem::path const& folder);

/// The folders in \p folder; none where it can not be read.
[[nodiscard]] std::vector<std::filesystem::path> subfolders(std::filesystem::path const& folder);

/// The file that a loop device with this folder has its bytes in, as the kernel names it; empty for other devices.
[[nodiscard]] std::string loop_backing_file(std::filesystem::path const& folder);

} // namespace seedbed
