#pragma once

#include <algorithm>
#include <cstdint>

namespace seedbed {

/// When a seed withholds pieces (network.read_once), and how many a waiting peer is offered.
///
/// Pieces of an image that fits into memory are read from the device only once anyway. Super-seeding makes its own
/// choice of pieces to offer, so the two are mutually exclusive. See piece_offers for the meaning of withholding.
struct read_once_policy {
    bool enabled = true;           ///< network.read_once
    bool super_seeding = false;    ///< this torrent uses super-seeding
    std::int64_t pool_bytes = 0;   ///< the memory for all blocks
    std::int64_t image_bytes = 0;  ///< without the gaps between extents
    std::int32_t piece_length = 0; ///< bytes, at least 1

    /// Part of the pool always holds blocks of other pieces, so an image larger than seven eighths of the pool counts
    /// as too large.
    [[nodiscard]] constexpr bool withholds() const noexcept {
        return enabled && !super_seeding && image_bytes > pool_bytes / 8 * 7;
    }
    /// How many withheld pieces a waiting peer is offered the first time: as many as fit into an eighth of the pool, so
    /// that data read for it stays in memory for others, and at least one. 0: nothing is withheld.
    [[nodiscard]] constexpr int first_offer() const noexcept {
        return withholds() ? static_cast<int>(std::max<std::int64_t>(pool_bytes / 8 / piece_length, 1)) : 0;
    }
};

} // namespace seedbed
