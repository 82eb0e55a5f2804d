#include "daemon/swarm/piece_offers.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace seedbed {

namespace {

/// A second in which a peer asks for nothing counts four where it gets no piece from others, either.
constexpr int patience = 8;
constexpr int most_generosity = 16; ///< doublings
/// More peers are told each second only of what has been taken.
constexpr int most_told_at_once = 64;
/// What a peer is told of at a time, of 10 bytes each.
constexpr std::size_t most_news = 512;

std::size_t bit(int piece) {
    return static_cast<std::size_t>(piece);
}

} // namespace

piece_offers::piece_offers(int pieces, callbacks call)
    : m_call(std::move(call))
    , m_pieces(static_cast<std::size_t>(pieces)) {}

void piece_offers::set_first_help(int pieces) {
    if (std::exchange(m_first_help, pieces) == 0 || pieces != 0) {
        return;
    }
    auto all = no_pieces();
    all.set();
    offer_to_all(all);
}

piece_offers::peer piece_offers::joined() {
    auto const free = std::ranges::find(m_members, false, &member::here);
    auto const which = static_cast<peer>(free - m_members.begin());
    if (free == m_members.end()) {
        m_members.emplace_back();
    }
    auto& added = m_members[which];
    added.there = no_pieces();
    added.kept = no_pieces();
    added.told = no_pieces();
    added.here = true;
    ++m_here;
    return which;
}

void piece_offers::can_be_told(peer who) {
    auto& told = m_members[who];
    if (std::exchange(told.can_be_told, true)) {
        return;
    }
    for (int piece = 0; known(piece); ++piece) {
        if (at(piece).taken_back) {
            keep_from(who, piece);
        }
    }
    tell(who);
}

void piece_offers::has(peer who, int piece) {
    auto& holder = m_members[who];
    if (!known(piece) || holder.there.test(bit(piece))) {
        return;
    }
    holder.there.set(bit(piece));
    holder.kept.reset(bit(piece));
    holder.told.reset(bit(piece)); // of no interest to it any more
    holder.progressed = true;
    at(piece).holders += holder.seed ? 0 : 1;
}

void piece_offers::is_seed(peer who) {
    if (!m_members[who].seed) {
        release(who, true);
        m_members[who].seed = true;
        m_members[who].kept.reset();
        m_members[who].told.reset();
    }
}

void piece_offers::set_interested(peer who, bool interested) {
    m_members[who].interested = interested;
}

void piece_offers::set_choked(peer who, bool choked) {
    m_members[who].choked = choked;
    if (choked) {
        release(who, false); // what it has asked for is refused
    }
}

void piece_offers::requested(peer who, int piece) {
    auto& asks = m_members[who];
    asks.asked = true;
    if (known(piece) && m_first_help > 0 && !asks.seed && !asks.choked && !at(piece).taken_back) {
        give(piece, who);
    }
}

void piece_offers::left(peer who) {
    m_members[who].here = false;
    m_members[who].can_be_told = false;
    --m_here;
    release(who, true);
    m_members[who] = {};
}

void piece_offers::second_passed() {
    for (peer who = 0; who < m_members.size(); ++who) {
        auto& each = m_members[who];
        auto const progressed = std::exchange(each.progressed, false);
        if (!each.here) {
            continue;
        }
        if (std::exchange(each.asked, false)) {
            each.waited = 0;
        } else if (!each.interested || !each.choked) { // or else it waits for its turn, and not for an offer
            each.waited += progressed ? 1 : 4;
        }
        if (each.waited >= patience) {
            each.waited = 0;
            if (each.kept.any() && !m_call.is_served(who)) {
                offer_more(who);
            }
        }
        tell(who);
    }
}

void piece_offers::give(int piece, peer owner) {
    at(piece).taken_back = true;
    at(piece).owner = owner;
    for (peer who = 0; who < m_members.size(); ++who) {
        if (who != owner && m_members[who].can_be_told) {
            keep_from(who, piece);
            if (m_here <= most_told_at_once) {
                tell(who);
            }
        }
    }
}

void piece_offers::keep_from(peer who, int piece) {
    auto& from = m_members[who];
    if (!from.seed && !from.there.test(bit(piece))) {
        from.kept.set(bit(piece));
        from.has_news = true;
    }
}

void piece_offers::offer_to_all(piece_set const& pieces) {
    for (auto piece = pieces.find_first(); piece != piece_set::npos; piece = pieces.find_next(piece)) {
        m_pieces[piece].taken_back = false;
        m_pieces[piece].owner = nobody;
    }
    for (peer who = 0; who < m_members.size(); ++who) {
        auto& each = m_members[who];
        if (!each.here) {
            continue;
        }
        each.has_news = each.has_news || each.kept.intersects(pieces);
        each.kept -= pieces;
        if (m_here <= most_told_at_once) {
            tell(who);
        }
    }
}

void piece_offers::release(peer who, bool its_own) {
    auto freed = no_pieces();
    auto& from = m_members[who];
    for (int piece = 0; known(piece); ++piece) {
        auto& state = at(piece);
        auto const had = from.there.test(bit(piece));
        if (its_own && had && !from.seed) {
            --state.holders;
        }
        if (state.owner == who && (its_own || !had)) {
            state.owner = nobody;
        }
        if (state.taken_back && state.holders == 0 && state.owner == nobody) {
            freed.set(bit(piece));
        }
    }
    if (freed.any()) {
        offer_to_all(freed);
    }
}

void piece_offers::offer_more(peer who) {
    auto& to = m_members[who];
    auto left = std::int64_t{m_first_help} << to.generosity;
    to.generosity = std::min(to.generosity + 1, most_generosity);
    // The first ones of the image: others that wait get the same ones, which are then read once for all.
    for (auto piece = to.kept.find_first(); piece != piece_set::npos && left > 0; piece = to.kept.find_next(piece)) {
        to.kept.reset(piece);
        to.has_news = true;
        --left;
    }
}

void piece_offers::tell(peer who) {
    auto& to = m_members[who];
    if (!to.has_news || !to.can_be_told) {
        return;
    }
    m_news.clear();
    to.has_news = false;
    m_differing = to.kept;
    m_differing ^= to.told;
    for (auto piece = m_differing.find_first(); piece != piece_set::npos; piece = m_differing.find_next(piece)) {
        if (m_news.size() == most_news) {
            to.has_news = true;
            break;
        }
        m_news.push_back({static_cast<int>(piece), !to.kept.test(piece)});
        to.told.flip(piece);
    }
    if (!m_news.empty()) {
        m_call.tell(who, m_news);
    }
}

} // namespace seedbed
