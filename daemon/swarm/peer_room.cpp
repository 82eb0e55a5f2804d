#include "daemon/swarm/peer_room.hpp"

#include <algorithm>

namespace seedbed {

namespace {

/// A machine that does not want anything now may return for a place after this time.
constexpr std::chrono::seconds exclusion{30};
constexpr std::size_t most_excluded = 4096; ///< addresses

} // namespace

peer_room::verdict peer_room::join(address const& from, bool known, std::size_t most, clock::time_point now) {
    verdict decision;
    auto const scarce = 2 * m_peers.size() >= most;
    auto const share = std::max<std::size_t>(scarce ? most / 16 : most / 2, 8);
    auto const at = m_counts.find(from);
    auto const own_share_used = at != m_counts.end() && at->second >= share;
    if (!known && (own_share_used || m_peers.size() >= most)) {
        auto const own_only = own_share_used || is_excluded(from, now);
        decision.leaves = take_idle(own_only ? std::optional(from) : std::nullopt, now);
        if (!decision.leaves) {
            return decision;
        }
    }
    decision.admitted = ++m_last;
    m_peers[m_last] = {from, now};
    ++m_counts[from];
    return decision;
}

std::optional<peer_room::id> peer_room::take_idle(std::optional<address> const& from, clock::time_point now) {
    auto const idle = std::ranges::find_if(m_peers, [&](auto const& each) {
        auto const& [number, peer] = each;
        return peer.idle && now - peer.since >= patience && (!from || peer.from == *from);
    });
    if (idle == m_peers.end()) {
        return std::nullopt;
    }
    auto const number = idle->first;
    if (!from) {
        exclude(idle->second.from, now);
    }
    leave(number);
    return number;
}

void peer_room::exclude(address const& from, clock::time_point now) {
    if (m_excluded.size() >= most_excluded) {
        std::erase_if(m_excluded, [now](auto const& each) { return now - each.second >= exclusion; });
    }
    if (m_excluded.size() < most_excluded) {
        m_excluded[from] = now;
    }
}

bool peer_room::is_excluded(address const& from, clock::time_point now) const {
    auto const at = m_excluded.find(from);
    return at != m_excluded.end() && now - at->second < exclusion;
}

void peer_room::not_idle(id which) {
    if (auto const at = m_peers.find(which); at != m_peers.end()) {
        at->second.idle = false;
    }
}

void peer_room::leave(id which) {
    auto const at = m_peers.find(which);
    if (at == m_peers.end()) {
        return;
    }
    if (auto const count = m_counts.find(at->second.from); --count->second == 0) {
        m_counts.erase(count);
    }
    m_peers.erase(at);
}

} // namespace seedbed
