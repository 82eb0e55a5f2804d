#include "daemon/swarm/piece_offers.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace seedbed {

namespace {

/// How long a peer waits for an offer, in seconds. A second in which it neither requests nor receives a piece counts
/// as four.
constexpr int patience = 8;
constexpr int most_generosity = 16; ///< doublings
/// With more peers than this, changes are sent only once per second.
constexpr int most_told_at_once = 64;
/// Changes sent to a peer at a time, of 10 bytes each.
constexpr std::size_t most_changes = 512;

std::size_t bit(int piece) {
    return static_cast<std::size_t>(piece);
}

} // namespace

piece_offers::piece_offers(int pieces, callbacks call)
    : m_call(std::move(call))
    , m_pieces(static_cast<std::size_t>(pieces)) {}

void piece_offers::set_first_offer(int pieces) {
    if (std::exchange(m_first_offer, pieces) == 0 || pieces != 0) {
        return;
    }
    auto all = no_pieces();
    all.set();
    offer_to_all(all);
}

piece_offers::peer piece_offers::joined() {
    auto const free = std::ranges::find(m_members, false, &member::connected);
    auto const which = static_cast<peer>(free - m_members.begin());
    if (free == m_members.end()) {
        m_members.emplace_back();
    }
    auto& added = m_members[which];
    added.pieces = no_pieces();
    added.withheld = no_pieces();
    added.told = no_pieces();
    added.connected = true;
    ++m_connected;
    return which;
}

void piece_offers::understands(peer who) {
    if (std::exchange(m_members[who].understands, true)) {
        return;
    }
    for (int piece = 0; known(piece); ++piece) {
        if (at(piece).withheld) {
            withhold(who, piece);
        }
    }
    send(who);
}

void piece_offers::has(peer who, int piece) {
    auto& holder = m_members[who];
    if (!known(piece) || holder.pieces.test(bit(piece))) {
        return;
    }
    holder.pieces.set(bit(piece));
    holder.withheld.reset(bit(piece));
    holder.told.reset(bit(piece)); // no longer of interest
    holder.progressed = true;
    at(piece).holders += holder.seed ? 0 : 1;
}

void piece_offers::is_seed(peer who) {
    if (!m_members[who].seed) {
        release(who, true);
        m_members[who].seed = true;
        m_members[who].withheld.reset();
        m_members[who].told.reset();
    }
}

void piece_offers::set_interested(peer who, bool interested) {
    m_members[who].interested = interested;
}

void piece_offers::set_choked(peer who, bool choked) {
    m_members[who].choked = choked;
    if (choked) {
        release(who, false); // libtorrent rejects its requests
    }
}

void piece_offers::requested(peer who, int piece) {
    auto& asks = m_members[who];
    asks.asked = true;
    if (known(piece) && m_first_offer > 0 && !asks.seed && !asks.choked && !at(piece).withheld) {
        give(piece, who);
    }
}

void piece_offers::left(peer who) {
    m_members[who].connected = false;
    m_members[who].understands = false;
    --m_connected;
    release(who, true);
    m_members[who] = {};
}

void piece_offers::second_passed() {
    for (peer who = 0; who < m_members.size(); ++who) {
        auto& each = m_members[who];
        auto const progressed = std::exchange(each.progressed, false);
        if (!each.connected) {
            continue;
        }
        if (std::exchange(each.asked, false)) {
            each.waited = 0;
        } else if (!each.interested || !each.choked) { // a choked peer waits for its turn, not for an offer
            each.waited += progressed ? 1 : 4;
        }
        if (each.waited >= patience) {
            each.waited = 0;
            if (each.withheld.any() && !m_call.is_served(who)) {
                offer_more(who);
            }
        }
        send(who);
    }
}

void piece_offers::give(int piece, peer owner) {
    at(piece).withheld = true;
    at(piece).owner = owner;
    for (peer who = 0; who < m_members.size(); ++who) {
        if (who != owner && m_members[who].understands) {
            withhold(who, piece);
            if (m_connected <= most_told_at_once) {
                send(who);
            }
        }
    }
}

void piece_offers::withhold(peer from, int piece) {
    auto& lacking = m_members[from];
    if (!lacking.seed && !lacking.pieces.test(bit(piece))) {
        lacking.withheld.set(bit(piece));
        lacking.has_news = true;
    }
}

void piece_offers::offer_to_all(piece_set const& pieces) {
    for (auto piece = pieces.find_first(); piece != piece_set::npos; piece = pieces.find_next(piece)) {
        m_pieces[piece].withheld = false;
        m_pieces[piece].owner = no_peer;
    }
    for (peer who = 0; who < m_members.size(); ++who) {
        auto& each = m_members[who];
        if (!each.connected) {
            continue;
        }
        each.has_news = each.has_news || each.withheld.intersects(pieces);
        each.withheld -= pieces;
        if (m_connected <= most_told_at_once) {
            send(who);
        }
    }
}

void piece_offers::release(peer who, bool leaves) {
    auto freed = no_pieces();
    auto& from = m_members[who];
    for (int piece = 0; known(piece); ++piece) {
        auto& state = at(piece);
        auto const had = from.pieces.test(bit(piece));
        if (leaves && had && !from.seed) {
            --state.holders;
        }
        if (state.owner == who && (leaves || !had)) {
            state.owner = no_peer;
        }
        if (state.withheld && state.holders == 0 && state.owner == no_peer) {
            freed.set(bit(piece));
        }
    }
    if (freed.any()) {
        offer_to_all(freed);
    }
}

void piece_offers::offer_more(peer to) {
    auto& waiting = m_members[to];
    auto left = std::int64_t{m_first_offer} << waiting.generosity;
    waiting.generosity = std::min(waiting.generosity + 1, most_generosity);
    // Start with the first piece of the image: all waiting peers are then offered the same pieces, and each is read
    // once.
    for (auto piece = waiting.withheld.find_first(); piece != piece_set::npos && left > 0;
         piece = waiting.withheld.find_next(piece)) {
        waiting.withheld.reset(piece);
        waiting.has_news = true;
        --left;
    }
}

void piece_offers::send(peer to) {
    auto& informed = m_members[to];
    if (!informed.has_news || !informed.understands) {
        return;
    }
    m_changes.clear();
    informed.has_news = false;
    m_differing = informed.withheld;
    m_differing ^= informed.told;
    for (auto piece = m_differing.find_first(); piece != piece_set::npos; piece = m_differing.find_next(piece)) {
        if (m_changes.size() == most_changes) {
            informed.has_news = true;
            break;
        }
        m_changes.push_back({static_cast<int>(piece), !informed.withheld.test(piece)});
        informed.told.flip(piece);
    }
    if (!m_changes.empty()) {
        m_call.send(to, m_changes);
    }
}

} // namespace seedbed
