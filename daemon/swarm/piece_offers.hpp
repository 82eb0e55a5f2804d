#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include <boost/dynamic_bitset.hpp>

namespace seedbed {

/// Which pieces a seed offers to whom, so that a source that does not fit into memory is read about once, and not once
/// more for each piece that two peers ask for at different times.
///
/// A piece that a peer asks for is its own: it is taken back from all others who lack it, who fetch it from each other.
/// It is offered again when that peer leaves, or is choked, and nobody has it, and to a peer that waits for two seconds
/// (eight, while pieces come to it from others), more of them each time: whoever has nobody else to fetch from is not
/// held up for long.
///
/// Peers are told at once where they are few. Else, and where there is much to tell, they are told each second, so much
/// at a time that the network thread is not held up.
///
/// Not thread-safe.
class piece_offers {
public:
    /// Of a connection, as long as it is there.
    using peer = std::size_t;
    struct change {
        int piece;
        bool offered; ///< it is here; or else it is not
    };
    struct callbacks {
        std::function<void(peer to, std::span<change const> news)> tell;
        /// Whether something is still on its way to a peer: it does not wait for an offer.
        std::function<bool(peer who)> is_served;
    };

    piece_offers(int pieces, callbacks call);

    /// How many pieces a peer that waits is offered the first time. 0: everybody is offered everything.
    void set_first_help(int pieces);

    [[nodiscard]] peer joined();
    /// It understands that a piece is not here any more: others are offered everything.
    void can_be_told(peer who);
    /// It has \p piece; numbers that there are none of are ignored, here and below.
    void has(peer who, int piece);
    /// It has had everything from the start: somebody else's seed, or one that has come back.
    void is_seed(peer who);
    /// Whether it is interested, and choked; at first it is choked, and not interested.
    void set_interested(peer who, bool interested);
    void set_choked(peer who, bool choked);
    void requested(peer who, int piece);
    void left(peer who);
    /// To be called each second.
    void second_passed();

private:
    static constexpr peer nobody = static_cast<peer>(-1);

    using piece_set = boost::dynamic_bitset<>;

    struct member {
        bool here = false;
        bool can_be_told = false;
        bool seed = false;
        bool interested = false;
        bool choked = true;
        bool asked = true;       ///< since second_passed()
        bool progressed = false; ///< likewise
        bool has_news = false;   ///< kept and told may differ
        int waited = 0;          ///< see patience
        int generosity = 0;      ///< how often it was offered more
        piece_set there;
        piece_set kept; ///< what it is not to ask for
        piece_set told; ///< what it has been told so of
    };
    struct piece_state {
        int holders = 0;         ///< peers that have it, but for seeds
        bool taken_back = false; ///< from all but its owner
        peer owner = nobody;     ///< who asked for it first
    };

    [[nodiscard]] bool known(int piece) const noexcept {
        return piece >= 0 && static_cast<std::size_t>(piece) < m_pieces.size();
    }
    [[nodiscard]] piece_state& at(int piece) { return m_pieces[static_cast<std::size_t>(piece)]; }
    [[nodiscard]] piece_set no_pieces() const { return piece_set(m_pieces.size()); }
    void give(int piece, peer owner);
    void keep_from(peer who, int piece);
    void offer_to_all(piece_set const& pieces);
    void offer_more(peer who);
    /// It owns none any more; where \p its_own is set, those that it has are not with it, either.
    void release(peer who, bool its_own);
    /// Of what it does not know yet, or of a part of it.
    void tell(peer who);

    callbacks m_call;
    std::vector<piece_state> m_pieces;
    std::vector<member> m_members;
    // Memory for the next ones.
    piece_set m_differing;
    std::vector<change> m_news;
    int m_here = 0;
    int m_first_help = 0;
};

} // namespace seedbed
