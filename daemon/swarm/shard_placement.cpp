#include "daemon/swarm/shard_placement.hpp"

#include "daemon/swarm/network_shards.hpp"

namespace seedbed {

namespace {

/// At this number of addresses, old ones that are not connected are forgotten.
constexpr std::size_t most_places = 8192;

} // namespace

int shard_placement::home_of(address const& peer) const {
    return shard_of(peer, m_shards);
}

int shard_placement::place_of(address const& peer) const {
    std::scoped_lock const lock(m_mutex);
    auto const at = m_places.find(peer);
    return at != m_places.end() && at->second.connections > 0 ? at->second.shard : home_of(peer);
}

bool shard_placement::admit(int shard, address const& peer, clock::time_point now) {
    std::scoped_lock const lock(m_mutex);
    if (m_places.size() >= most_places) {
        forget_old(now);
    }
    auto& at = m_places[peer];
    auto const belongs_to = at.connections > 0 ? at.shard : home_of(peer);
    if (shard != belongs_to) {
        auto const waited = now - at.refused;
        if (at.connections > 0 || at.refused == clock::time_point{} || waited > memory) {
            at.refused = now;
            return false;
        }
        if (waited < patience) {
            return false;
        }
    }
    at.shard = shard;
    at.refused = {};
    ++at.connections;
    return true;
}

void shard_placement::leave(address const& peer) {
    std::scoped_lock const lock(m_mutex);
    auto const at = m_places.find(peer);
    if (at != m_places.end() && --at->second.connections == 0) {
        m_places.erase(at);
    }
}

bool shard_placement::has(address const& peer) const {
    std::scoped_lock const lock(m_mutex);
    auto const at = m_places.find(peer);
    return at != m_places.end() && at->second.connections > 0;
}

std::size_t shard_placement::known() const {
    std::scoped_lock const lock(m_mutex);
    return m_places.size();
}

void shard_placement::forget_old(clock::time_point now) {
    std::erase_if(m_places, [now](auto const& each) {
        return each.second.connections == 0 && now - each.second.refused > patience;
    });
}

} // namespace seedbed
