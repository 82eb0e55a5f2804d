#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include <boost/dynamic_bitset.hpp>

namespace seedbed {

/// Decides which pieces a seed offers to which peer, so that each piece leaves the seed about once while its peers can
/// pass it on to each other (network.read_once).
///
/// At first, every piece is withheld from every peer. The seed keeps its link full with new pieces: it gives each one
/// to one peer, its owner: the peer with the fewest pieces that no other peer has yet. Few pieces are in flight at a
/// time, so that each is soon complete and passed on; pieces in flight to late peers do not count. A piece whose owner
/// leaves, is choked or stalls before it has the piece is new again if no other peer has it.
///
/// When no new piece is left and the link is not full, pieces are given again:
/// - the rarest one to an idle peer: one that has received nothing from other peers for a few times as long as the seed
///   needs for a piece. It is given pieces at the full rate until other peers give it some;
/// - one that its owner has not passed on for longer than passing on takes on average.
/// So the link is never idle while an idle peer lacks a piece. A peer that does not understand that a piece is withheld
/// (see understands()) requests any piece, and becomes the owner of each new one.
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
        int first_piece = 0;           ///< the first one to give; the others follow in order, and wrap around
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
    /// Whether a request is to be refused: the piece is withheld from the peer, which did not know it yet, and is given
    /// to another one, or enough is in flight. The peer has been told.
    [[nodiscard]] bool refuses(peer who, int piece);
    /// A request is served.
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
        bool stalled = false;          ///< given nothing until it receives or requests something
        bool has_news = false;         ///< `withheld` and `told` may differ
        int unspread = 0;              ///< pieces of its own that no other peer has got since they were given to it
        double slowness = 1;           ///< more than 1 for a peer that needs longer than others to pass pieces on
        clock::duration spread_time{}; ///< average, as m_spread_time
        clock::duration pace{};        ///< average time from one piece to the next, from any peer; 0: unknown
        std::uint64_t turn = 0;        ///< of the piece that it was given last
        std::int64_t owed = 0;         ///< bytes of `awaited` that have not been sent yet, about
        std::int64_t stuck = 0;        ///< of them, those that do not count as in flight because the peer is late
        bool late = false;             ///< see find_late_peers()
        std::int64_t sent = 0;         ///< bytes since the last measure()
        double rate = 0;               ///< average, bytes per second
        clock::time_point active{};    ///< it was last given a piece, or received some of it
        clock::time_point given{};     ///< it was last given a piece
        clock::time_point got{};       ///< it last got a piece, from any peer
        clock::time_point fed{};       ///< it last got a piece from another peer, or began to wait for one
        piece_set pieces;              ///< that the peer has
        piece_set awaited;             ///< given to it, or requested by it, that it does not have
        piece_set withheld;            ///< from this peer
        piece_set told;                ///< withheld pieces that the peer knows about
    };
    struct piece_state {
        int holders = 0;     ///< peers that have the piece, without seeds
        int awaiting = 0;    ///< peers that await it
        bool spread = false; ///< another peer has got it since
        peer owner = no_peer;
        clock::time_point given{};
    };

    [[nodiscard]] bool known(int piece) const noexcept {
        return piece >= 0 && static_cast<std::size_t>(piece) < m_pieces.size();
    }
    [[nodiscard]] piece_set no_pieces() const { return piece_set(m_pieces.size()); }

    struct gift {
        peer to;
        std::size_t piece;
    };

    // --- what is given to whom
    void fill(clock::time_point now);
    void give(gift const& given, clock::time_point now);
    [[nodiscard]] std::optional<gift> new_piece();
    [[nodiscard]] std::optional<gift> another_copy(clock::time_point now);
    [[nodiscard]] std::optional<gift> copy_for_idle(clock::time_point now) const;
    [[nodiscard]] std::optional<gift> overdue_copy(clock::time_point now) const;
    /// Whether the peer can be given more.
    [[nodiscard]] bool takes_more(member const& each) const noexcept;
    [[nodiscard]] bool is_idle(member const& each, clock::time_point now) const noexcept;
    /// Of those that lack \p piece, if it is not npos.
    [[nodiscard]] peer best_peer(std::size_t piece) const;
    /// How many bytes are to be in flight to all peers, and at most to one.
    [[nodiscard]] std::int64_t goal() const noexcept;
    [[nodiscard]] std::int64_t most(member const& to) const noexcept;
    [[nodiscard]] std::int64_t room() const noexcept { return goal() - (m_owed - m_stuck); }
    [[nodiscard]] clock::duration overdue_after() const noexcept;

    void await(peer who, std::size_t piece, clock::time_point now);
    void no_longer_awaits(member& who, std::size_t piece);
    void own(peer who, std::size_t piece, clock::time_point now);
    void disown(std::size_t piece);
    /// Takes back a piece that the peer does not have.
    void take_back(peer who, std::size_t piece);
    void take_back_awaited(peer who);
    void release_all(peer who);
    void set_owed(member& who, std::int64_t bytes) noexcept;

    // --- how fast the peers are
    void measure(clock::time_point now);
    void find_late_peers(clock::time_point now);
    void find_slow_peers(clock::time_point now);
    void try_idle_peer(clock::time_point now);

    // --- what the peers are told
    void withhold_unawaited(peer from);
    /// Sends the changes that the peer does not know yet, or a portion of them.
    void send(peer to);

    image_shape const m_shape;
    sender m_send;
    std::vector<piece_state> m_pieces;
    std::vector<member> m_members;
    piece_set m_new;                ///< pieces that no peer has or will get
    std::size_t m_next;             ///< where the search for a new piece starts
    clock::time_point m_searched{}; ///< last, without success, for an overdue piece
    clock::time_point m_measured{};
    bool m_enabled = false;
    std::uint64_t m_turn = 0;
    std::int64_t m_owed = 0;         ///< to all peers
    std::int64_t m_stuck = 0;        ///< of them
    double m_rate = 0;               ///< average, bytes per second to all peers
    double m_peak = 0;               ///< the highest m_rate; falls slowly
    clock::duration m_spread_time{}; ///< average, from giving a piece until another peer has it; 0: unknown
    // Reused memory.
    piece_set m_differing;
    std::vector<change> m_changes;
};

} // namespace seedbed
