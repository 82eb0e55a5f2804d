#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <unordered_map>
#include <vector>

#include "core/cache/block_waiter.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

/// The pieces of an image that a session may read only once their hashes have been compared with the torrent.
///
/// A read of another piece waits until the piece has been hashed. Pieces that are expected to be read are hashed
/// ahead, a few at a time, since their blocks must still be in memory when they are read.
///
/// Pure: the caller hashes. A function that throws std::bad_alloc has changed nothing; ended() and stop() do not throw.
/// Threads: confined to one, the network thread.
class read_checks {
public:
    enum class answer : std::uint8_t {
        pass,   ///< the piece matches the torrent
        wait,   ///< it will be hashed: see next()
        differs ///< it does not match the torrent
    };
    enum class outcome : std::uint8_t { good, differs, failed };

    /// \param running the number of pieces that may be hashed at the same time; at least 1. \param ahead the number of
    /// pieces that may be hashed, or be hashed already, before the first read of them; at least 1.
    read_checks(std::int32_t pieces, int running, int ahead);

    /// The piece will probably be read soon.
    void expect(piece_index piece);
    /// Whether the piece may be read now.
    [[nodiscard]] answer look_up(piece_index piece);
    /// Keeps a read of a piece for which look_up() has answered "wait".
    void hold(piece_index piece, block_waiter& read);
    /// The piece to hash next; nothing if none is left or enough are being hashed. Those with reads come first: in turn
    /// the one that has waited longest, and the one with the most reads, so that a peer that wants a little of each
    /// piece does not delay all others.
    [[nodiscard]] std::optional<piece_index> next();
    /// A piece returned by next() has been hashed. \return the reads of it that were held. After a failure, the piece
    /// is hashed again when it is next read.
    [[nodiscard]] waiter_list ended(piece_index piece, outcome how);
    /// Nothing is read for now: forgets the pieces that are still to be hashed. \return all reads that were held.
    [[nodiscard]] waiter_list stop();

private:
    enum class state : std::uint8_t { unknown, expected, wanted, running, good, differs };
    struct piece_state {
        state current = state::unknown;
        bool ahead = false; ///< hashed, or being hashed, before the first read
    };

    [[nodiscard]] piece_state& at(piece_index piece) { return m_pieces[static_cast<std::size_t>(piece.value())]; }
    struct held_reads {
        waiter_list reads;
        std::size_t count = 0;
    };

    /// Takes a piece from m_wanted.
    [[nodiscard]] std::optional<piece_index> take_wanted();
    void start(piece_index piece);
    void no_longer_ahead(piece_state& piece) noexcept;
    /// Pieces hashed ahead may never be read: the oldest one no longer counts.
    void forget_oldest_ahead() noexcept;

    int const m_most_running;
    int const m_most_ahead;
    std::vector<piece_state> m_pieces;
    std::deque<piece_index> m_wanted;   ///< in the order of their first reads
    std::deque<piece_index> m_expected; ///< in the order of hashing; those that are in another state are skipped
    std::deque<piece_index> m_ahead;    ///< in the order of their start
    int m_running = 0;
    int m_count_ahead = 0;
    std::unordered_map<piece_index, held_reads> m_held;
    bool m_largest_next = false; ///< of the wanted pieces, rather than the oldest
};

} // namespace seedbed
