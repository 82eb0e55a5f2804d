#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <boost/dynamic_bitset.hpp>

namespace seedbed {

/// Decides which pieces a seed offers to which peer, so that each piece leaves the seed about once while its peers can
/// pass it on to each other (network.read_once).
///
/// At first, every piece is withheld from every peer. The seed keeps its link full with new pieces: it gives each one
/// to the peer, its owner, that has the fewest pieces which no other peer has got yet. Few are in flight at a time, so
/// that each is soon complete and passed on. A piece is given again if
/// - its owner leaves, is choked or stalls before it has the piece, and no other peer has it, or
/// - there is no new piece left, and no other peer has got it for far longer than that takes on average.
/// While the link is not full and a peer has received nothing for two seconds, or for eight seconds only from others,
/// it is offered a piece, and twice as many each time: nothing waits forever. A peer that does not understand that a
/// piece is withheld (see understands()) requests what it likes, and becomes the owner of what is new.
///
/// Pure: the caller passes the time. Threads: not thread-safe; used on libtorrent's network thread.
class piece_offers {
public:
    using clock = std::chrono::steady_clock;
    /// Number of a connection, valid until left().
    using peer = std::size_t;
    struct change {
        int piece;
        bool offered; ///< false: withheld
    };
    struct image_shape {
        int pieces = 0;
        std::int64_t piece_length = 1; ///< bytes
        int first_piece = 0;           ///< the first one to give; the others follow in order, and round the end
    };
    /// Sends changes to a peer.
    using sender = std::function<void(peer to, std::span<change const> changes)>;

    piece_offers(image_shape shape, sender send);

    /// Off at first: everything is offered to all peers.
    void set_enabled(bool enabled, clock::time_point now);

    [[nodiscard]] peer joined();
    /// The peer understands that a piece is withheld. Other peers are offered everything.
    void understands(peer who, clock::time_point now);
    /// The peer has \p piece. Unknown numbers are ignored, here and below.
    void has(peer who, int piece, clock::time_point now);
    /// The peer had every piece when it connected.
    void is_seed(peer who, clock::time_point now);
    /// A new peer is choked and not interested.
    void set_interested(peer who, bool interested, clock::time_point now);
    void set_choked(peer who, bool choked, clock::time_point now);
    void requested(peer who, int piece, clock::time_point now);
    /// Bytes of pieces have been sent to the peer.
    void sent(peer who, std::int64_t bytes, clock::time_point now);
    void left(peer who, clock::time_point now);
    /// Must be called every second.
    void second_passed(clock::time_point now);

private:
    static constexpr peer no_peer = static_cast<peer>(-1);

    using piece_set = boost::dynamic_bitset<>;

    struct member {
        bool connected = false;
        bool understands = false;
        bool seed = false;
        bool interested = false;
        bool choked = true;
        bool progressed = false;       ///< it has received data since the last second_passed()
        bool stalled = false;          ///< given nothing until it receives or requests something
        bool has_news = false;         ///< `withheld` and `told` may differ
        int waited = 0;                ///< see patience
        int generosity = 0;            ///< how often it was offered more because it waited
        int unspread = 0;              ///< pieces of its own that no other peer has got since they were given to it
        double slowness = 1;           ///< more than 1 for a peer that needs longer than others to pass pieces on
        clock::duration spread_time{}; ///< average, as m_spread_time
        std::uint64_t turn = 0;        ///< of the piece that it was given last
        std::int64_t owed = 0;         ///< bytes of `awaited` that have not been sent yet, about
        std::int64_t sent = 0;         ///< bytes since the last second_passed()
        std::int64_t rate = 0;         ///< bytes in the second before
        clock::time_point active{};    ///< it was last given a piece, or received some of it
        clock::time_point given{};     ///< it was last given a piece
        piece_set pieces;              ///< that the peer has
        piece_set awaited;             ///< given to it, or requested by it, that it does not have
        piece_set withheld;            ///< from this peer
        piece_set told;                ///< withheld pieces that the peer knows about
    };
    struct piece_state {
        int holders = 0;     ///< peers that have the piece, without seeds
        int before = 0;      ///< holders when it was given to its owner
        bool spread = false; ///< another peer has got it since
        peer owner = no_peer;
        clock::time_point given{};
    };

    [[nodiscard]] bool known(int piece) const noexcept {
        return piece >= 0 && static_cast<std::size_t>(piece) < m_pieces.size();
    }
    [[nodiscard]] piece_set no_pieces() const { return piece_set(m_pieces.size()); }

    // --- what is given to whom
    void fill(clock::time_point now);
    [[nodiscard]] peer next_peer() const;
    /// How many bytes are to be in flight to all peers.
    [[nodiscard]] std::int64_t goal() const noexcept;
    [[nodiscard]] std::int64_t room() const noexcept { return goal() - (m_owed - m_stuck); }
    /// The piece to give to the peer next, or npos.
    [[nodiscard]] std::size_t next_piece(member const& to, clock::time_point now);
    void find_overdue(clock::time_point now);
    void await(peer who, std::size_t piece);
    void own(peer who, std::size_t piece, clock::time_point now);
    void disown(std::size_t piece);
    /// Takes back a piece that the peer does not have.
    void take_back(peer who, std::size_t piece);
    void take_back_awaited(peer who);
    void forget_awaited(member& who);
    void measure(clock::time_point now);
    void find_slow_peers(clock::time_point now);
    void release_all(peer who);
    void set_owed(member& who, std::int64_t bytes) noexcept;
    [[nodiscard]] clock::duration overdue_after() const noexcept;

    // --- what the peers are told
    void withhold_unawaited(peer from);
    void offer_more(peer to, clock::time_point now);
    void wait(peer who, clock::time_point now);
    /// Sends the changes that the peer does not know yet, or a portion of them.
    void send(peer to);

    image_shape const m_shape;
    sender m_send;
    std::vector<piece_state> m_pieces;
    std::vector<member> m_members;
    piece_set m_new;                    ///< pieces that no peer has or will get
    std::size_t m_next;                 ///< where the search for a new piece starts
    std::vector<std::size_t> m_overdue; ///< to give again, the most urgent one last
    clock::time_point m_searched{};     ///< for overdue pieces
    bool m_enabled = false;
    std::uint64_t m_turn = 0;
    std::int64_t m_owed = 0;         ///< to all peers
    std::int64_t m_stuck = 0;        ///< of it, owed to peers that take it slowly
    std::int64_t m_rate = 0;         ///< bytes to all peers in the last second
    clock::duration m_spread_time{}; ///< average, from giving a piece until another peer has it; 0: unknown
    // Reused memory.
    piece_set m_differing;
    std::vector<change> m_changes;
};

} // namespace seedbed
