#include "daemon/swarm/peer_status.hpp"

#include <algorithm>
#include <utility>

namespace seedbed {

std::vector<peer_status> without_twins(std::vector<peer_status> peers) {
    std::ranges::stable_sort(peers, [](peer_status const& a, peer_status const& b) {
        return a.id != b.id ? a.id < b.id : a.uploaded > b.uploaded;
    });
    auto const same_id = [](peer_status const& a, peer_status const& b) { return a.id == b.id; };
    peers.erase(std::unique(peers.begin(), peers.end(), same_id), peers.end());
    return peers;
}

} // namespace seedbed
