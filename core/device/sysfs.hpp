#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed {

// Small readers of /sys, for what looks at block devices. Threads: any.

/// Bytes: the unit of sizes and offsets in sysfs, whatever the disk\'s own sectors are.
inline constexpr std::int64_t sysfs_sector = 512;

/// "8:1", as sysfs and udev write a device's number, and back.
[[nodiscard]] std::string number_pair(dev_t device);
[[nodiscard]] std::optional<dev_t> parse_number_pair(std::string const& text);

/// The whole of a small file, as it is; empty where it can not be read.
[[nodiscard]] std::string read_text(std::filesystem::path const& path);

/// Without blanks at the ends, and NULs, with which a disk can pad what it says of itself.
[[nodiscard]] std::string trimmed(std::string_view text);

/// The folder of a device below /sys/devices; empty where sysfs does not know it. \param sysfs its root.
[[nodiscard]] std::filesystem::path sysfs_folder(dev_t device, std::filesystem::path const& sysfs);

/// Whether that folder is a partition's.
[[nodiscard]] bool is_partition(std::filesystem::path const& folder);

/// The folders in \p folder; none where it can not be read.
[[nodiscard]] std::vector<std::filesystem::path> subfolders(std::filesystem::path const& folder);

} // namespace seedbed
