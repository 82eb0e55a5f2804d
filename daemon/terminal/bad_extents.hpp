#pragma once

#include <cstdint>
#include <vector>

#include "core/image/image_torrent.hpp"

namespace seedbed {

/// A run of the device within which something differs from the torrent.
struct bad_extent {
    std::int64_t offset = 0;      ///< bytes from the start of the device
    std::int64_t length = 0;      ///< bytes
    std::int32_t first_piece = 0; ///< the pieces that the run belongs to
    std::int32_t last_piece = 0;
    friend bool operator==(bad_extent const&, bad_extent const&) = default;
};

/// Where \p pieces, which ascend, lie on the device, in its order: neighbours are one run. Padding is nowhere.
[[nodiscard]] std::vector<bad_extent> find_bad_extents(image_torrent const& torrent,
                                                       std::vector<std::int32_t> const& pieces);

} // namespace seedbed
