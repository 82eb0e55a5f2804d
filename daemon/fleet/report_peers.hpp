#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace seedbed {

/// The endpoints at which peers take reports. A peer may state a new port on each connection: the last one of an
/// address counts. If there are too many addresses, the first ones are kept.
///
/// Threads: one at a time.
class report_peers {
public:
    static constexpr std::size_t most = 64;

    /// \return whether its address is new, and kept.
    bool add(boost::asio::ip::tcp::endpoint const& peer) {
        auto const at = std::ranges::find(m_peers, peer.address(), [](auto const& each) { return each.address(); });
        if (at != m_peers.end()) {
            at->port(peer.port());
            return false;
        }
        if (m_peers.size() == most) {
            return false;
        }
        m_peers.push_back(peer);
        return true;
    }

    [[nodiscard]] std::vector<boost::asio::ip::tcp::endpoint> const& all() const noexcept { return m_peers; }

private:
    std::vector<boost::asio::ip::tcp::endpoint> m_peers;
};

} // namespace seedbed
