#pragma once

#include <filesystem>
#include <vector>

#include "config/settings.hpp"
#include "config/table_reader.hpp"

namespace seedbed {

/// One [[image]], and the places of its unique keys. A missing or invalid key leaves its field empty.
struct image_table {
    image_settings image;
    config_place name;
    config_place torrent;
    config_place device;
};

/// Reads and checks one [[image]]. \param folder absolute; relative paths start there.
[[nodiscard]] image_table read_image(table_reader& table, std::filesystem::path const& folder);

/// Reports names, torrents and devices that two images share. Files are the same if their paths are equal, or according
/// to stat(2): a by-id link and its target are one device. Opens nothing.
void report_duplicates(std::vector<image_table> const& images, error_report& report);

} // namespace seedbed
