#pragma once

#include <algorithm>
#include <cstdint>

namespace seedbed {

/// When a seed withholds pieces (network.read_once), and how generous it is to a peer that waits for them.
///
/// Pieces of an image that fits into memory are read from the device once anyway. Super-seeding decides by itself which
/// pieces a peer is offered, so the two exclude each other. See piece_offers for what withholding means.
struct read_once_policy {
    bool enabled = true;           ///< network.read_once
    bool super_seeding = false;    ///< this torrent uses it
    std::int64_t pool_bytes = 0;   ///< the memory for all blocks
    std::int64_t image_bytes = 0;  ///< without the gaps between extents
    std::int32_t piece_length = 0; ///< bytes, at least 1

    /// Some of the pool always holds blocks of other pieces, so an image larger than seven eighths of it counts as too
    /// large.
    [[nodiscard]] constexpr bool withholds() const noexcept {
        return enabled && !super_seeding && image_bytes > pool_bytes / 8 * 7;
    }
    /// How many withheld pieces a waiting peer is offered the first time: an eighth of the pool, so that what is read
    /// for it stays in memory for others, and at least one. 0: nothing is withheld.
    [[nodiscard]] constexpr int first_offer() const noexcept {
        return withholds() ? static_cast<int>(std::max<std::int64_t>(pool_bytes / 8 / piece_length, 1)) : 0;
    }
};

} // namespace seedbed
