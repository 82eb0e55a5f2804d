#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <unordered_map>

#include "core/backend/image_io.hpp"
#include "core/backend/work_gate.hpp"
#include "core/foundation/strong.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/sha1.hpp"

namespace seedbed {

/// How arriving pieces are hashed.
struct hasher_options {
    bool ahead = true; ///< hash them before they are complete
    /// How long a complete piece may wait to be hashed together with the next one; none waits if a piece takes more
    /// than twice that to arrive. At 500 MiB/s a piece of 16 MiB arrives in 30 ms.
    std::chrono::milliseconds longest_wait{30};
};

/// SHA-1 of the pieces of one image while they arrive: blocks that arrive in order are hashed while they are still in
/// the CPU's cache, so that little is left to do when the piece is complete. Out-of-order blocks are hashed once the
/// gap is filled.
///
/// Hashing two pieces together takes a processor little longer than hashing one. Pieces that arrive at the same time
/// are hashed together. If pieces arrive fast, one after another, every second one waits to be hashed together with the
/// next: its hash is available some hundredths of a second later, but costs less processor time.
///
/// The pieces of a packed target are not hashed ahead: it hashes them itself.
///
/// Threads: every member may be called from any thread; finish() blocks, on a hash worker. The destructor waits for
/// workers that are hashing for this object, but not for queued work.
class hash_ahead {
public:
    /// Both must outlive this object.
    hash_ahead(image_io& io, worker_pool& workers, hasher_options options);
    hash_ahead(hash_ahead const&) = delete;
    hash_ahead& operator=(hash_ahead const&) = delete;
    ~hash_ahead();

    /// A newly written block of a piece is in the cache. Does not throw: without memory nothing is hashed ahead.
    void block_written(piece_index piece, std::int32_t block);

    /// The hash of a piece's first blocks.
    struct beginning {
        sha1_sum sha1;
        std::int32_t blocks = 0;
    };
    /// The piece is complete, or as complete as it will be: hashes those of its first blocks that are still in memory,
    /// and removes the piece. Returns no blocks if none were written.
    [[nodiscard]] beginning finish(piece_index piece);
    /// Discards what has been hashed of the piece.
    void forget(piece_index piece);
    /// Drops what was hashed of all pieces.
    void forget_all();

private:
    struct piece_state;
    using state_ptr = std::shared_ptr<piece_state>;

    using clock = std::chrono::steady_clock;
    class lane;
    struct sha1_parts;

    [[nodiscard]] state_ptr make_state(piece_index piece) const;
    [[nodiscard]] bool may_wait(piece_state const& state) const;
    [[nodiscard]] state_ptr take(piece_index piece);
    /// \return the piece's state if a worker must be woken for it, otherwise null.
    [[nodiscard]] state_ptr note_written(piece_index piece, std::int32_t block);
    [[nodiscard]] bool wake_worker(state_ptr const& state);
    void run_ahead(state_ptr const& state);
    [[nodiscard]] bool advance(state_ptr const& state, bool together);
    [[nodiscard]] state_ptr find_partner(std::span<state_ptr const> taken) const;
    void finish_ahead(state_ptr const& state);
    void stop_waiting_for(state_ptr const& state);

    image_io& m_io;
    worker_pool& m_workers;
    hasher_options const m_options;
    std::shared_ptr<work_gate> const m_gate = std::make_shared<work_gate>(); ///< for the queued work
    std::mutex m_mutex;                                                      ///< guards the members below
    std::unordered_map<piece_index, state_ptr> m_states;                     ///< pieces that are arriving
    state_ptr m_waiting;               ///< the piece that waits to be hashed together with the next
    bool m_arrives_fast = false;       ///< the last piece arrived fast
    std::condition_variable m_arrived; ///< more of a piece has arrived while another one waits for it
};

} // namespace seedbed
