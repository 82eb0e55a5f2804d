#include "core/image/bad_extents.hpp"

#include "core/image/block_layout.hpp"

namespace seedbed {

std::vector<bad_extent> find_bad_extents(image_torrent const& torrent, std::vector<piece_index> const& pieces) {
    block_layout const layout(byte_count{torrent.extents.total_size()}, byte_count{torrent.piece_length});
    std::vector<bad_extent> found;
    for (auto const piece : pieces) {
        auto const begin = layout.begin_of(piece);
        auto const length = layout.piece_size(piece).value();
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
