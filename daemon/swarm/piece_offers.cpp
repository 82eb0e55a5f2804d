#include "daemon/swarm/piece_offers.hpp"

#include <algorithm>
#include <utility>

namespace seedbed {

namespace {

/// A second in which a peer asks for nothing counts four where it gets no piece from others, either.
constexpr int patience = 8;
constexpr int most_generosity = 16; ///< doublings

} // namespace

piece_offers::piece_offers(int pieces, teller tell)
    : m_tell(std::move(tell))
    , m_pieces(static_cast<std::size_t>(pieces)) {}

void piece_offers::set_first_help(int pieces) {
    m_first_help = pieces;
    for (int piece = 0; pieces == 0 && known(piece); ++piece) {
        if (at(piece).taken_back) {
            offer_to_all(piece);
        }
    }
}

piece_offers::peer piece_offers::joined() {
    auto const free = std::ranges::find(m_members, false, &member::here);
    auto const which = static_cast<peer>(free - m_members.begin());
    if (free == m_members.end()) {
        m_members.emplace_back();
    }
    auto& added = m_members[which];
    added.here = true;
    added.there.resize(m_pieces.size());
    return which;
}

void piece_offers::can_be_told(peer who) {
    auto& told = m_members[who];
    if (std::exchange(told.can_be_told, true)) {
        return;
    }
    told.kept_from_it.resize(m_pieces.size());
    for (int piece = 0; known(piece); ++piece) {
        if (at(piece).taken_back && !told.seed && !told.there[static_cast<std::size_t>(piece)]) {
            keep_from(who, piece);
        }
    }
}

void piece_offers::has(peer who, int piece) {
    auto& holder = m_members[who];
    if (!known(piece) || holder.there[static_cast<std::size_t>(piece)]) {
        return;
    }
    holder.there[static_cast<std::size_t>(piece)] = true;
    holder.progressed = true;
    if (holder.can_be_told && holder.kept_from_it[static_cast<std::size_t>(piece)]) {
        holder.kept_from_it[static_cast<std::size_t>(piece)] = false; // of no interest to it any more
        --holder.kept;
    }
    at(piece).holders += holder.seed ? 0 : 1;
}

void piece_offers::is_seed(peer who) {
    auto& seed = m_members[who];
    if (!std::exchange(seed.seed, true)) {
        release_pieces(who);
    }
}

void piece_offers::requested(peer who, int piece) {
    m_members[who].asked = true;
    if (known(piece) && m_first_help > 0 && !at(piece).taken_back) {
        give(piece, who);
    }
}

void piece_offers::left(peer who) {
    m_members[who].here = false;
    if (!m_members[who].seed) {
        release_pieces(who);
    }
    m_members[who] = {};
}

void piece_offers::release_pieces(peer who) {
    for (int piece = 0; known(piece); ++piece) {
        auto& state = at(piece);
        state.holders -= m_members[who].there[static_cast<std::size_t>(piece)] ? 1 : 0;
        if (state.owner == who) {
            state.owner = nobody;
        }
        if (state.taken_back && state.holders == 0 && state.owner == nobody) {
            offer_to_all(piece);
        }
    }
}

void piece_offers::second_passed() {
    for (peer who = 0; who < m_members.size(); ++who) {
        auto& each = m_members[who];
        auto const progressed = std::exchange(each.progressed, false);
        if (std::exchange(each.asked, false)) {
            each.waited = 0;
        } else if (each.kept > 0) {
            each.waited += progressed ? 1 : 4;
        }
        if (each.waited >= patience) {
            each.waited = 0;
            offer_more(who);
        }
    }
}

void piece_offers::give(int piece, peer owner) {
    at(piece).taken_back = true;
    at(piece).owner = owner;
    for (peer who = 0; who < m_members.size(); ++who) {
        auto const& each = m_members[who];
        if (who != owner && each.can_be_told && !each.seed && !each.there[static_cast<std::size_t>(piece)]) {
            keep_from(who, piece);
        }
    }
}

void piece_offers::offer_to_all(int piece) {
    at(piece).taken_back = false;
    for (peer who = 0; who < m_members.size(); ++who) {
        offer_to(who, piece);
    }
}

void piece_offers::keep_from(peer who, int piece) {
    auto& from = m_members[who];
    if (!from.kept_from_it[static_cast<std::size_t>(piece)]) {
        from.kept_from_it[static_cast<std::size_t>(piece)] = true;
        ++from.kept;
        m_tell(who, piece, false);
    }
}

void piece_offers::offer_to(peer who, int piece) {
    auto& to = m_members[who];
    if (to.here && to.can_be_told && to.kept_from_it[static_cast<std::size_t>(piece)]) {
        to.kept_from_it[static_cast<std::size_t>(piece)] = false;
        --to.kept;
        m_tell(who, piece, true);
    }
}

void piece_offers::offer_more(peer who) {
    // The first ones of the image: others that wait get the same ones, which are then read once for all.
    auto left = std::int64_t{m_first_help} << m_members[who].generosity;
    m_members[who].generosity = std::min(m_members[who].generosity + 1, most_generosity);
    for (int piece = 0; known(piece) && left > 0; ++piece) {
        auto const index = static_cast<std::size_t>(piece);
        if (m_members[who].kept_from_it[index]) {
            offer_to(who, piece);
            --left;
        }
    }
}

} // namespace seedbed
