#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <span>

#include <libtorrent/sha1_hash.hpp>

#include "core/backend/device_wait.hpp"
#include "core/backend/hash_ahead.hpp"
#include "core/backend/image_io.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"
#include "core/foundation/worker_pool.hpp"

namespace seedbed {

/// Which hashes of a piece to compute. Sizes in bytes.
struct piece_hash_request {
    piece_index piece;
    bool v1 = false;                                 ///< SHA-1 of the whole piece
    std::span<libtorrent::sha256_hash> block_hashes; ///< unless empty: SHA-256 of each block of the piece's file
    std::int32_t v2_size = 0;                        ///< bytes of the piece that belong to a v2 file, without padding
    /// Called when a full check that had to wait for another one is about to begin: true if its result is no longer
    /// needed. The returned hashes are then undefined. May be empty.
    std::function<bool()> cancelled;
    bool keep = true; ///< blocks that have to be read stay in the cache: a peer is about to request them
};

/// Hashes the pieces of one image: continues the hash that hash_ahead has computed while the piece arrived, from
/// memory, and reads back blocks that are no longer in memory.
///
/// Threads: every member may be called from any thread; hash() and hash_block() block, on a hash worker.
class piece_hasher {
public:
    /// Both must outlive this object.
    piece_hasher(image_io& io, worker_pool& workers, hasher_options options);
    piece_hasher(piece_hasher const&) = delete;
    piece_hasher& operator=(piece_hasher const&) = delete;

    /// Hashes blocks as they arrive.
    [[nodiscard]] hash_ahead& ahead() noexcept { return m_ahead; }
    /// How workers wait for the device.
    [[nodiscard]] device_wait& waits() noexcept { return m_waits; }

    /// Hashes a piece as it is after all earlier writes. \param sha1 set if request.v1. \return the first read error.
    [[nodiscard]] result<void, io_error> hash(piece_hash_request const& request, libtorrent::sha1_hash& sha1);
    /// SHA-256 of \p length bytes of a piece from the start of \p block on, at most a block.
    [[nodiscard]] result<void, io_error> hash_block(piece_index piece, std::int32_t block, std::int32_t length,
                                                    libtorrent::sha256_hash& sha256);

private:
    image_io& m_io;
    device_wait m_waits;
    std::mutex m_device_order; ///< held by the one full check that reads, if the device has a head
    hash_ahead m_ahead;        ///< last, so that its work ends before the members that it uses
};

} // namespace seedbed
