#include "daemon/fleet/announced_peers.hpp"

#include <numeric>
#include <utility>

namespace seedbed {

bool announced_peers::update(announced_peer const& peer) {
    auto& peers = m_peers.get<by_endpoint>();
    auto const at = peers.find(peer.where);
    if (at == peers.end()) {
        return false;
    }
    m_complete -= at->complete ? 1 : 0;
    m_complete += peer.complete ? 1 : 0;
    peers.modify(at, [&](announced_peer& known) { known = peer; });
    return true;
}

void announced_peers::add(announced_peer peer) {
    m_complete += peer.complete ? 1 : 0;
    m_peers.get<by_endpoint>().insert(std::move(peer));
}

void announced_peers::erase(index::index<by_endpoint>::type::iterator at) {
    m_complete -= at->complete ? 1 : 0;
    m_peers.get<by_endpoint>().erase(at);
}

bool announced_peers::remove(endpoint const& where) {
    auto const at = m_peers.get<by_endpoint>().find(where);
    auto const known = at != m_peers.get<by_endpoint>().end();
    if (known) {
        erase(at);
    }
    return known;
}

bool announced_peers::make_room_at(boost::asio::ip::address const& address, std::size_t most) {
    auto const& peers = m_peers.get<by_endpoint>();
    auto oldest = peers.lower_bound(endpoint(address, 0));
    std::size_t count = 0;
    for (auto at = oldest; at != peers.end() && at->where.address() == address; ++at) {
        ++count;
        oldest = at->seen < oldest->seen ? at : oldest;
    }
    if (count == 0 || count < most) {
        return false;
    }
    erase(oldest);
    return true;
}

std::size_t announced_peers::expire(std::function<bool(announced_peer const&)> const& is_gone) {
    auto const before = size();
    m_peers.get<by_number>().remove_if([&](announced_peer const& each) {
        auto const gone = is_gone(each);
        m_complete -= gone && each.complete ? 1 : 0;
        return gone;
    });
    return before - size();
}

std::vector<announced_peer const*>
announced_peers::sample(std::size_t wanted, std::minstd_rand& random,
                        std::function<bool(announced_peer const&)> const& fits) const {
    std::vector<announced_peer const*> chosen;
    auto const count = size();
    if (count == 0 || wanted == 0) {
        return chosen;
    }
    // A step without a common divisor visits every peer once; each step gives another order.
    std::uniform_int_distribution<std::size_t> any(0, count - 1);
    auto at = any(random);
    auto step = any(random) | 1U;
    while (std::gcd(step, count) != 1) {
        step = any(random) | 1U;
    }
    auto const& peers = m_peers.get<by_number>();
    for (std::size_t looked_at = 0; looked_at < count && chosen.size() < wanted; ++looked_at) {
        if (auto const& each = peers[at]; fits(each)) {
            chosen.push_back(&each);
        }
        at = (at + step) % count;
    }
    return chosen;
}

} // namespace seedbed
