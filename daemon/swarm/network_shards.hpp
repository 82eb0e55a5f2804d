#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "config/settings.hpp"

namespace seedbed {

// Network shards: several libtorrent sessions, with a network thread each, serve the same images from one backend. A
// peer belongs to one of them. Which one its address tells, and nothing else: the port that a peer listens on is not
// known when it connects, and its peer id comes too late to choose a port by. So machines behind one address share a
// shard, and a machine that has an IPv4 and an IPv6 address may have two.

/// Which of \p shards sessions serves a peer, from 0 on. Addresses that follow each other, as those of a room do,
/// spread evenly, and so do those that keep a distance: multiples of the golden ratio (Knuth, TAOCP 3, 6.4), where a
/// remainder would put every second address into the same of two shards.
[[nodiscard]] int shard_of(boost::asio::ip::address const& peer, int shards);

/// \param port of the first shard, as it is configured.
[[nodiscard]] constexpr std::uint16_t port_of_shard(std::uint16_t port, int shard) noexcept {
    return static_cast<std::uint16_t>(port + shard);
}

/// Parts a limit by the number of peers that each shard has; one that has none gets a peer's part, for the first that
/// comes. \return as many as \p peers, of which none is below \p least; they sum up to \p limit unless that asks for
/// more. 0, no limit, is none for each.
[[nodiscard]] std::vector<std::int64_t> divide_limit(std::int64_t limit, std::vector<int> const& peers,
                                                     std::int64_t least);

/// The settings of each of the shards: ports of its own, and its part of the limits on sending and on connections.
/// \param slots upload slots of all, 0 for no limit. \param peers that each shard has now.
[[nodiscard]] std::vector<network_settings> divide_network(network_settings const& network, int slots,
                                                           std::vector<int> const& peers);

/// On which ports all shards listen.
[[nodiscard]] std::vector<std::uint16_t> all_ports(network_settings const& network);

} // namespace seedbed
