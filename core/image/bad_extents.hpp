#pragma once

#include <cstdint>
#include <vector>

#include "core/image/image_torrent.hpp"

namespace seedbed {

/// A contiguous range of the device in pieces that differ from the torrent.
struct bad_extent {
    std::int64_t offset = 0;      ///< bytes from the start of the device
    std::int64_t length = 0;      ///< bytes
    std::int32_t first_piece = 0; ///< the pieces that the range belongs to
    std::int32_t last_piece = 0;
    friend bool operator==(bad_extent const&, bad_extent const&) = default;
};

/// The ranges of the device that \p pieces (ascending) cover, in the order of the stream; adjacent ones are merged.
/// Padding has no place on the device.
[[nodiscard]] std::vector<bad_extent> find_bad_extents(image_torrent const& torrent,
                                                       std::vector<std::int32_t> const& pieces);

} // namespace seedbed
