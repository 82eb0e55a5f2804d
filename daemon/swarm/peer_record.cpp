#include "daemon/swarm/peer_record.hpp"

#include <algorithm>
#include <utility>

namespace seedbed {

void peer_record::add(peer_status const& peer) {
    std::scoped_lock const lock(m_mutex);
    if (auto const known = m_peers.find(peer.id); known != m_peers.end()) {
        auto sum = peer;
        sum.downloaded += known->second.downloaded;
        sum.uploaded += known->second.uploaded;
        known->second = std::move(sum);
        return;
    }
    if (m_peers.size() >= limit) {
        auto const useless =
            std::ranges::find_if(m_peers, [](auto const& each) { return each.second.downloaded == 0; });
        if (peer.downloaded == 0 || useless == m_peers.end()) {
            return;
        }
        m_peers.erase(useless);
    }
    m_peers.emplace(peer.id, peer);
}

std::map<std::string, peer_status> peer_record::peers() const {
    std::scoped_lock const lock(m_mutex);
    return m_peers;
}

} // namespace seedbed
