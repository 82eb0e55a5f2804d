#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace seedbed {

/// The [[image]] table that serves an image from \p device, an absolute path, as \p torrent is.
[[nodiscard]] std::string image_table_text(std::string const& name, std::string const& torrent,
                                           std::string const& device);

/// A name for the image with this .torrent or packed file: its file name without the suffix, with "-" in place of each
/// character that is not allowed in an image's name. "image" if nothing is left.
[[nodiscard]] std::string suggested_name(std::filesystem::path const& file);

/// The name of a disk or partition that it has after each boot: a link in \p by_id to \p device. \p device itself if
/// there is none, or if it is a link already. Prefers the names that contain the serial number.
[[nodiscard]] std::string stable_device_name(std::string const& device,
                                             std::filesystem::path const& by_id = "/dev/disk/by-id");

} // namespace seedbed
