#include "core/image/bad_extents.hpp"

#include <algorithm>

namespace seedbed {

std::vector<bad_extent> find_bad_extents(image_torrent const& torrent, std::vector<std::int32_t> const& pieces) {
    std::vector<bad_extent> found;
    for (auto const piece : pieces) {
        auto const begin = std::int64_t{piece} * torrent.piece_length;
        auto const length = std::min<std::int64_t>(torrent.piece_length, torrent.extents.total_size() - begin);
        torrent.extents.for_each_slice(begin, length, [&](extent const& slice) {
            if (slice.device_offset == extent::padding) {
                return;
            }
            if (!found.empty() && found.back().offset + found.back().length == slice.device_offset) {
                found.back().length += slice.length;
                found.back().last_piece = piece;
            } else {
                found.push_back({slice.device_offset, slice.length, piece, piece});
            }
        });
    }
    return found;
}

} // namespace seedbed
