#pragma once

#include <string>
#include <vector>

#include "core/image/image_torrent.hpp"

namespace seedbed {

/// The announce URLs in a .torrent.
[[nodiscard]] std::vector<std::string> announce_urls(image_torrent const& torrent);

/// The info-hashes under which clients announce the torrent. A hybrid torrent has two (BEP 52), v1 first.
[[nodiscard]] std::vector<info_hash> announced_hashes(image_torrent const& torrent);

} // namespace seedbed
