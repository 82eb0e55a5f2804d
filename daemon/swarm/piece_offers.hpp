#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace seedbed {

/// Which pieces a seed offers to whom, so that a source that does not fit into memory is read about once, and not once
/// more for each piece that two peers ask for at different times.
///
/// A piece that a peer asks for is its own: it is taken back from all others who lack it, who fetch it from each other.
/// It is offered again when that peer leaves and nobody has it, and to a peer that asks for nothing for two seconds,
/// more pieces each time: whoever has nobody else to fetch from is not held up for long.
///
/// Not thread-safe.
class piece_offers {
public:
    /// Of a connection, as long as it is there.
    using peer = std::size_t;
    /// What to tell \p to: that \p piece is here (true), or is not.
    using teller = std::function<void(peer to, int piece, bool offered)>;

    piece_offers(int pieces, teller tell);

    /// How many pieces a peer that waits is offered the first time. 0: everybody is offered everything.
    void set_first_help(int pieces);

    [[nodiscard]] peer joined();
    /// It understands that a piece is not here any more: others are offered everything.
    void can_be_told(peer who);
    /// It has \p piece; numbers that there are none of are ignored, here and below.
    void has(peer who, int piece);
    /// It has had everything from the start: somebody else's seed, or one that has come back.
    void is_seed(peer who);
    void requested(peer who, int piece);
    void left(peer who);
    /// To be called each second.
    void second_passed();

private:
    static constexpr peer nobody = static_cast<peer>(-1);

    struct member {
        bool here = false;
        bool can_be_told = false;
        bool seed = false;
        bool asked = true;       ///< since second_passed()
        bool progressed = false; ///< likewise
        int waited = 0;          ///< see patience
        int generosity = 0;      ///< how often it was offered more
        std::vector<bool> there; ///< by piece
        std::vector<bool> kept_from_it;
        int kept = 0; ///< how many of those
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
    void give(int piece, peer owner);
    void offer_to_all(int piece);
    void keep_from(peer who, int piece);
    void offer_to(peer who, int piece);
    void offer_more(peer who);
    /// Its pieces are not with anybody on its account.
    void release_pieces(peer who);

    teller m_tell;
    std::vector<piece_state> m_pieces;
    std::vector<member> m_members;
    int m_first_help = 0;
};

} // namespace seedbed
