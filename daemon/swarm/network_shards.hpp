#pragma once

#include <cstdint>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "config/ip_endpoint.hpp"
#include "config/settings.hpp"

namespace seedbed {

// Network shards: several libtorrent sessions, with one network thread each, serve the same images from one backend. A
// peer belongs to one of them, which is determined only by its address: the port that a peer listens on is unknown when
// it connects, and its peer id arrives too late to choose a port by it. Machines behind one address therefore share a
// shard, and a machine with an IPv4 and an IPv6 address may have two.

/// Which of \p shards sessions serves a peer, from 0. Distributes both consecutive addresses, as in a room, and
/// addresses at a fixed distance evenly, using multiples of the golden ratio (Knuth, TAOCP 3, 6.4). With a remainder,
/// addresses that are two apart would all share one of two shards.
[[nodiscard]] int shard_of(boost::asio::ip::address const& peer, int shards);

/// \param port the configured one, which is the first shard's.
[[nodiscard]] constexpr std::uint16_t port_of_shard(std::uint16_t port, int shard) noexcept {
    return static_cast<std::uint16_t>(port + shard);
}

/// Divides a limit by the number of peers of each shard; a shard without peers counts as having one.
/// \return one part per shard, each at least \p least; their sum is \p limit unless \p least makes it more. A \p limit
/// of 0 means no limit, also for each shard.
[[nodiscard]] std::vector<std::int64_t> divide_limit(std::int64_t limit, std::vector<int> const& peers,
                                                     std::int64_t least);

/// The settings of each shard: its own ports, and its part of the limits on uploads and connections.
/// \param slots upload slots of all shards together; 0: no limit. \param peers the number of peers of each shard.
[[nodiscard]] std::vector<network_settings> divide_network(network_settings const& network, int slots,
                                                           std::vector<int> const& peers);

/// The listening ports of all shards.
[[nodiscard]] std::vector<std::uint16_t> all_ports(network_settings const& network);

/// The configured peers that belong to \p shard.
[[nodiscard]] std::vector<ip_endpoint> peers_of_shard(std::vector<ip_endpoint> const& peers, int shard, int shards);

} // namespace seedbed
