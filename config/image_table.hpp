#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "config/settings.hpp"
#include "config/table_reader.hpp"

namespace seedbed {

/// One [[image]] and where its unique keys are. A key that is missing or wrong leaves its field empty.
struct image_table {
    image_settings image;
    config_place name;
    config_place torrent;
    config_place device;
};

/// Bytes a second; libtorrent takes them as an int. 0 is no limit.
inline constexpr value_range<std::int64_t> rate_limit_range{0, (1LL << 31) - 1};

/// An absolute path without "." and ".."; empty, and reported, if the key is missing or holds no path of a file.
/// \param folder absolute: relative paths start there.
[[nodiscard]] std::string read_path(table_reader& table, std::string_view key, std::filesystem::path const& folder);

/// Reads and checks one [[image]]. \param folder absolute: relative paths start there.
[[nodiscard]] image_table read_image(table_reader& table, std::filesystem::path const& folder);

/// Reports names, torrents and devices that two images share. Files are the same if their paths are, or if stat(2)
/// says so: a by-id link and the node that it leads to are one device. Opens nothing.
void report_duplicates(std::vector<image_table> const& images, error_report& report);

} // namespace seedbed
