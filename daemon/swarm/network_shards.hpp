#pragma once

#include <cstdint>
#include <vector>

#include <boost/asio/ip/address.hpp>

#include "config/ip_endpoint.hpp"
#include "config/settings.hpp"

namespace seedbed {

// Network shards: several libtorrent sessions, with one network thread each, serve the same images from one backend. A
// peer belongs to one of them. Only its address decides which one: the port that a peer listens on is unknown when it
// connects, and its peer id arrives too late to choose a port by it. So machines behind one address share a shard, and
// a machine with an IPv4 and an IPv6 address may have two.

/// Which of \p shards sessions serves a peer, from 0. Spreads consecutive addresses, as those of a room are, and
/// addresses at a fixed distance evenly, with multiples of the golden ratio (Knuth, TAOCP 3, 6.4). A remainder would
/// put every second address into the same of two shards.
[[nodiscard]] int shard_of(boost::asio::ip::address const& peer, int shards);

/// \param port the configured one, of the first shard.
[[nodiscard]] constexpr std::uint16_t port_of_shard(std::uint16_t port, int shard) noexcept {
    return static_cast<std::uint16_t>(port + shard);
}

/// Divides a limit by the number of peers of each shard; a shard without peers counts as one with one peer.
/// \return one part per shard, each at least \p least; they add up to \p limit unless \p least makes them more. A
/// \p limit of 0 means no limit, for each shard, too.
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
