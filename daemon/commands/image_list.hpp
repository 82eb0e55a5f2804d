#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "config/settings.hpp"

namespace seedbed {

/// A row of `seedbed image list`.
struct listed_image {
    std::string name;
    std::string mode;              ///< "seed" or "deploy"
    std::string kind;              ///< "raw" or "packed"; empty if the .torrent cannot be read
    std::string source;            ///< "disk" or "partition"; empty if unknown
    std::int64_t bytes = 0;        ///< of the source, in the image
    std::int64_t packed_bytes = 0; ///< 0 if it is raw
    std::string info_hash;
    std::string torrent;
    std::string device;
    std::string origin; ///< "FILE:LINE" of its table
    std::string state;  ///< in the running daemon; empty if that does not answer
    std::string error;  ///< why the .torrent cannot be read, or why the image has failed; empty otherwise
};

/// The images of a configuration, with their state in the running daemon. Blocks.
[[nodiscard]] std::vector<listed_image> list_images(settings const& configured);

/// \param columns the width of the lines; 0: no limit.
[[nodiscard]] std::vector<std::string> image_list_table(std::vector<listed_image> const& images, std::size_t columns);
/// Values that are unknown or have no meaning are null.
[[nodiscard]] std::string image_list_json(std::vector<listed_image> const& images);

} // namespace seedbed
