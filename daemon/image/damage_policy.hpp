#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "daemon/swarm/libtorrent_types.hpp"

namespace seedbed {

/// What a deployment does about a peer that sent a damaged piece. libtorrent disconnects such a peer and bans it for as
/// long as the torrent is in the session. But it may be the only source, and one flipped bit an accident.
///
/// Peers are known by their addresses: a peer that connects by itself has another port each time.
///
/// Pure. Threads: not thread-safe.
class damage_policy {
public:
    /// Connections in a row that brought damage while the deployment got no good piece, after which it is given up.
    static constexpr int most = 5;
    /// Addresses that are known at a time. A new one replaces the one whose ban was lifted longest ago; if none was,
    /// its ban stays.
    static constexpr std::size_t most_sources = 256;

    enum class action : std::uint8_t {
        none,   ///< the ban is going to be lifted already, or stays
        retry,  ///< lift the ban after `pause`
        give_up ///< fail the deployment
    };
    struct decision {
        action what = action::none;
        std::chrono::milliseconds pause{0};
        int pieces = 0; ///< damaged ones from this address so far
    };

    explicit damage_policy(std::chrono::milliseconds first_pause)
        : m_first_pause(first_pause) {}

    /// A peer was banned. \param other_sources connected peers with the whole image. \param good_pieces of the
    /// deployment so far.
    decision on_banned(boost::asio::ip::tcp::endpoint const& peer, int other_sources, int good_pieces) {
        if (!make_room(peer.address())) {
            return {action::none, {}, 1};
        }
        auto& from = m_sources[peer.address()];
        from.last = peer;
        ++from.pieces;
        if (from.banned) {
            return {action::none, {}, from.pieces}; // that connection had received more of them
        }
        from.in_vain = from.good_pieces == good_pieces ? from.in_vain + 1 : 1;
        from.good_pieces = good_pieces;
        if (from.in_vain >= most) {
            return {action::give_up, {}, from.pieces};
        }
        from.banned = true;
        ++from.bans;
        // If other sources exist, nothing waits for this peer.
        auto const doublings = other_sources > 0 ? std::min(from.bans - 1, 10) : from.in_vain - 1;
        return {action::retry, m_first_pause * (1 << doublings), from.pieces};
    }
    void on_lifted(boost::asio::ip::address const& address) {
        if (auto const at = m_sources.find(address); at != m_sources.end()) {
            at->second.banned = false;
            at->second.lifted = ++m_lifted;
        }
    }

    /// The damaged pieces that each known peer has sent, by its last "ADDRESS:PORT".
    [[nodiscard]] std::map<std::string, int> pieces() const {
        std::map<std::string, int> counts;
        for (auto const& [address, from] : m_sources) {
            counts[to_text(from.last)] = from.pieces;
        }
        return counts;
    }

private:
    struct source {
        boost::asio::ip::tcp::endpoint last;
        int pieces = 0;
        int bans = 0;
        int in_vain = 0;
        std::optional<int> good_pieces; ///< at the last ban
        bool banned = false;
        std::uint64_t lifted = 0; ///< number of the last lifted ban
    };

    bool make_room(boost::asio::ip::address const& wanted) {
        if (m_sources.size() < most_sources || m_sources.contains(wanted)) {
            return true;
        }
        auto const order = [](auto const& each) { return std::pair(each.second.banned, each.second.lifted); };
        auto const oldest = std::ranges::min_element(m_sources, {}, order);
        if (oldest->second.banned) {
            return false;
        }
        m_sources.erase(oldest);
        return true;
    }

    std::chrono::milliseconds const m_first_pause;
    std::map<boost::asio::ip::address, source> m_sources; ///< at most most_sources
    std::uint64_t m_lifted = 0;                           ///< bans
};

} // namespace seedbed
