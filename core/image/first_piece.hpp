#pragma once

#include <string>

#include "core/image/image_torrent.hpp"

namespace seedbed {

/// Whether the device, or image file, \p path begins with the first piece of \p torrent. False if the image does not
/// begin at its device's first byte, if the device cannot be read, or if the torrent has no SHA-1 of its pieces. Reads
/// one piece through the page cache. Threads: any; blocks.
[[nodiscard]] bool begins_with_first_piece(std::string const& path, image_torrent const& torrent);

} // namespace seedbed
