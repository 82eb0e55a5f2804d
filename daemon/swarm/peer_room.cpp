#include "daemon/swarm/peer_room.hpp"

#include <algorithm>

namespace seedbed {

namespace {

/// A machine that does not want anything now may return for a place after this time.
constexpr std::chrono::seconds exclusion{30};
/// The same for one that said that it does, in times of its patience. Its next peer becomes idle earlier: otherwise
/// that place, too, would go to one of its kind.
constexpr int long_exclusion = 3;
constexpr std::size_t most_excluded = 4096; ///< addresses

} // namespace

peer_room::verdict peer_room::join(address const& from, bool known, std::size_t most, clock::time_point now) {
    verdict decision;
    auto const scarce = 2 * m_peers.size() >= most;
    auto const share = std::max<std::size_t>(scarce ? most / 16 : most / 2, 8);
    auto const at = m_counts.find(from);
    auto const own_share_used = at != m_counts.end() && at->second >= share;
    auto active = now;
    if (own_share_used || (!known && m_peers.size() >= most)) {
        auto const own_only = own_share_used || is_excluded(from, now);
        auto const idle = find_idle(own_only ? std::optional(from) : std::nullopt, now);
        if (idle == m_peers.end()) {
            return decision;
        }
        if (idle->second.from == from) {
            active = idle->second.active;
        } else {
            exclude(idle->second, now);
        }
        decision.leaves = idle->first;
        leave(idle->first);
    }
    decision.admitted = ++m_last;
    m_peers[m_last] = {from, active};
    ++m_counts[from];
    return decision;
}

peer_room::members::iterator peer_room::find_idle(std::optional<address> const& from, clock::time_point now) {
    auto const find = [&](bool with_reason, clock::duration wait) {
        return std::ranges::find_if(m_peers, [&](auto const& each) {
            auto const& [number, peer] = each;
            return peer.has_reason == with_reason && now - peer.active >= wait && (!from || peer.from == *from);
        });
    };
    auto const silent = find(false, m_patience.silent);
    return silent != m_peers.end() ? silent : find(true, m_patience.with_reason);
}

void peer_room::exclude(member const& idle, clock::time_point now) {
    if (m_excluded.size() >= most_excluded) {
        std::erase_if(m_excluded, [now](auto const& each) { return now >= each.second; });
    }
    if (m_excluded.size() < most_excluded || m_excluded.contains(idle.from)) {
        auto& until = m_excluded[idle.from];
        until = std::max(until, now + (idle.has_reason ? long_exclusion * m_patience.with_reason : exclusion));
    }
}

bool peer_room::is_excluded(address const& from, clock::time_point now) const {
    auto const at = m_excluded.find(from);
    return at != m_excluded.end() && now < at->second;
}

void peer_room::has_reason(id which) {
    if (auto const at = m_peers.find(which); at != m_peers.end()) {
        at->second.has_reason = true;
    }
}

void peer_room::is_active(id which, clock::time_point now) {
    if (auto const at = m_peers.find(which); at != m_peers.end()) {
        at->second.active = now;
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
