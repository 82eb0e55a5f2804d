#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <libtorrent/sha1_hash.hpp>

#include "core/backend/image_storage.hpp"

namespace seedbed {

/// What to hash of a piece. Sizes in bytes.
struct piece_hash_request {
    std::int32_t piece = 0;
    bool v1 = false;                                 ///< SHA-1 of the whole piece
    std::span<libtorrent::sha256_hash> block_hashes; ///< where not empty: SHA-256 of each block of the piece's file
    std::int32_t v2_size = 0;                        ///< bytes of the piece that belong to a v2 file, without padding
    std::vector<dirty_block> overlay;                ///< newer than the device, in order of offset
};

/// Reads a piece from the device and hashes it: large reads, the next one under way while the last is hashed.
///
/// The reads run on the device's workers, so that its number of threads holds for them too; the hashing on the calling
/// thread, which must be a hash worker. What the overlay covers is not read where it covers a whole read.
/// \param sha1 set where request.v1. \return the first error of a read.
[[nodiscard]] result<void, io_error> hash_piece(image_storage& image, piece_hash_request const& request,
                                                libtorrent::sha1_hash& sha1);

/// SHA-256 of \p length bytes of the stream (one block), likewise.
[[nodiscard]] result<void, io_error> hash_block(image_storage& image, std::int64_t stream_offset, std::int32_t length,
                                                std::vector<dirty_block> const& overlay,
                                                libtorrent::sha256_hash& sha256);

} // namespace seedbed
