#pragma once

#include <string>
#include <vector>

#include "core/image/image_torrent.hpp"

namespace seedbed {

/// The announce URLs that a .torrent names.
[[nodiscard]] std::vector<std::string> announce_urls(image_torrent const& torrent);

/// The info-hashes under which its clients announce themselves, 40 hex digits each: two of a hybrid torrent (BEP 52),
/// the second one cut off after 20 bytes.
[[nodiscard]] std::vector<std::string> announced_hashes(image_torrent const& torrent);

} // namespace seedbed
