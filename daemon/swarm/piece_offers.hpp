#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <boost/dynamic_bitset.hpp>

namespace seedbed {

/// Decides which pieces a seed offers to which peer, so that a source that does not fit into memory is read about once,
/// rather than again whenever another peer requests a piece (network.read_once; read_once_policy decides when this is
/// used).
///
/// The first peer that requests a piece becomes its owner. The piece is withheld from all other peers that lack it:
/// they download it from each other. It is offered to all again if no peer has it and its owner leaves or is choked. A
/// peer that has waited for two seconds (eight while it receives pieces from others) is offered some withheld pieces,
/// and twice as many each time, so that a peer without other sources does not wait long.
///
/// If there are few peers, changes are sent immediately. Many peers, or many changes, are served once per second and in
/// portions, so that the network thread is not blocked.
///
/// Threads: not thread-safe; used on libtorrent's network thread.
class piece_offers {
public:
    /// Number of a connection, valid until left().
    using peer = std::size_t;
    struct change {
        int piece;
        bool offered; ///< false: withheld
    };
    struct callbacks {
        /// Sends changes to a peer.
        std::function<void(peer to, std::span<change const> changes)> send;
        /// Whether data is still in flight to a peer: such a peer does not wait for an offer.
        std::function<bool(peer who)> is_served;
    };

    piece_offers(int pieces, callbacks call);

    /// \param pieces how many withheld pieces a waiting peer is offered the first time; 0: nothing is withheld.
    void set_first_offer(int pieces);

    [[nodiscard]] peer joined();
    /// The peer understands that a piece is withheld. Other peers are offered everything.
    void understands(peer who);
    /// The peer has \p piece. Unknown numbers are ignored, here and below.
    void has(peer who, int piece);
    /// The peer had every piece when it connected.
    void is_seed(peer who);
    /// A new peer is choked and not interested.
    void set_interested(peer who, bool interested);
    void set_choked(peer who, bool choked);
    void requested(peer who, int piece);
    void left(peer who);
    /// Must be called every second.
    void second_passed();

private:
    static constexpr peer no_peer = static_cast<peer>(-1);

    using piece_set = boost::dynamic_bitset<>;

    struct member {
        bool connected = false;
        bool understands = false;
        bool seed = false;
        bool interested = false;
        bool choked = true;
        bool asked = true;       ///< since the last second_passed()
        bool progressed = false; ///< it has received a piece since the last second_passed()
        bool has_news = false;   ///< `withheld` and `told` may differ
        int waited = 0;          ///< see patience
        int generosity = 0;      ///< how often it was offered more
        piece_set pieces;        ///< that the peer has
        piece_set withheld;      ///< from this peer
        piece_set told;          ///< withheld pieces that the peer knows about
    };
    struct piece_state {
        int holders = 0;       ///< peers that have the piece, without seeds
        bool withheld = false; ///< from all but its owner
        peer owner = no_peer;  ///< the first peer that requested it
    };

    [[nodiscard]] bool known(int piece) const noexcept {
        return piece >= 0 && static_cast<std::size_t>(piece) < m_pieces.size();
    }
    [[nodiscard]] piece_state& at(int piece) { return m_pieces[static_cast<std::size_t>(piece)]; }
    [[nodiscard]] piece_set no_pieces() const { return piece_set(m_pieces.size()); }
    void give(int piece, peer owner);
    void withhold(peer from, int piece);
    void offer_to_all(piece_set const& pieces);
    void offer_more(peer to);
    /// Releases what the peer owns; if it leaves, also what it has.
    void release(peer who, bool leaves);
    /// Sends the changes that the peer does not know yet, or a portion of them.
    void send(peer to);

    callbacks m_call;
    std::vector<piece_state> m_pieces;
    std::vector<member> m_members;
    int m_connected = 0;
    int m_first_offer = 0;
    // Reused memory.
    piece_set m_differing;
    std::vector<change> m_changes;
};

} // namespace seedbed
