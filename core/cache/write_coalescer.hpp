#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <vector>

#include "core/foundation/strong.hpp"

namespace seedbed {

/// Consecutive blocks [begin, end) of a piece.
struct block_run {
    piece_index piece;
    std::int32_t begin = 0;
    std::int32_t end = 0;

    friend bool operator==(block_run const&, block_run const&) = default;
};

/// Decides when dirty blocks of an image leave for the device: a run leaves when it is long enough, when its piece is
/// complete, when its oldest block has waited for the delay, or when take_all() is called (memory, a fence, a stop).
///
/// Handles numbers only: blocks and their content belong to the cache. Neighbours in a piece are neighbours on the
/// device, except at the ends of extents.
///
/// Threads: every member may be called from any thread. A function that throws std::bad_alloc loses no block: those
/// that it did not append still wait.
class write_coalescer {
public:
    using clock = std::chrono::steady_clock;

    struct policy {
        std::int32_t coalesce = 1;          ///< number of blocks at which a run leaves at once, at least 1
        std::chrono::milliseconds delay{0}; ///< 0: nothing waits
    };

    /// \param blocks_per_piece of every piece but the last of the \p pieces, which has \p blocks_in_last.
    write_coalescer(std::int32_t pieces, std::int32_t blocks_per_piece, std::int32_t blocks_in_last, policy rules);

    void set_policy(policy rules);

    /// A block has become dirty. Appends the runs that leave now to \p leaving; the caller must write them.
    void add(piece_index piece, std::int32_t block, clock::time_point now, std::vector<block_run>& leaving);
    /// Appends the runs whose oldest block has waited long enough.
    void take_due(clock::time_point now, std::vector<block_run>& leaving);
    /// Appends all runs.
    void take_all(std::vector<block_run>& leaving);
    /// These blocks have left along with their neighbours and no longer wait.
    void taken(block_run const& run);

    /// When take_due() will next append a run; nothing if no block waits.
    [[nodiscard]] std::optional<clock::time_point> next_due() const;

private:
    struct piece_blocks {
        std::vector<std::uint64_t> dirty; ///< a bit per waiting block
        std::vector<std::uint64_t> seen;  ///< a bit per block added since the piece was begun
        std::int32_t waiting = 0;         ///< bits in dirty
        std::int32_t seen_count = 0;
        clock::time_point oldest{}; ///< when the oldest waiting block arrived
    };
    using piece_map = std::map<piece_index, piece_blocks>;

    [[nodiscard]] std::int32_t blocks_in(piece_index piece) const noexcept;
    void take_piece_locked(piece_index piece, piece_blocks& blocks, std::vector<block_run>& leaving) const;
    [[nodiscard]] static block_run run_around(piece_index piece, piece_blocks const& blocks, std::int32_t block,
                                              std::int32_t count);
    static void clear_run(piece_blocks& blocks, block_run const& run);

    std::int32_t const m_pieces;
    std::int32_t const m_blocks_per_piece;
    std::int32_t const m_blocks_in_last;
    mutable std::mutex m_mutex;
    policy m_policy;
    piece_map m_begun; ///< pieces that have waiting blocks or are not complete yet
    std::int64_t m_waiting = 0;
};

} // namespace seedbed
