#pragma once

#include <cstdint>
#include <vector>

#include "core/foundation/strong.hpp"
#include "core/image/image_torrent.hpp"

namespace seedbed {

/// A contiguous range of the device whose pieces differ from the torrent.
struct bad_extent {
    std::int64_t offset = 0; ///< bytes from the start of the device
    std::int64_t length = 0; ///< bytes
    piece_index first_piece; ///< the first and the last piece that the range belongs to
    piece_index last_piece;
    friend bool operator==(bad_extent const&, bad_extent const&) = default;
};

/// The ranges of the device that \p pieces (ascending) cover, in the order of the stream; adjacent ones are merged.
/// Padding is skipped, as it is not on the device.
[[nodiscard]] std::vector<bad_extent> find_bad_extents(image_torrent const& torrent,
                                                       std::vector<piece_index> const& pieces);

} // namespace seedbed
