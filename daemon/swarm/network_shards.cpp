#include "daemon/swarm/network_shards.hpp"

#include <algorithm>
#include <iterator>
#include <numeric>

#include "daemon/http/tcp_endpoint.hpp"

namespace seedbed {

namespace {

/// libtorrent rotates the slots among the peers (optimistic unchoke): no peer would keep a single slot.
constexpr std::int64_t least_slots = 2;

std::uint64_t big_endian(unsigned char const* bytes) {
    return std::accumulate(bytes, bytes + 8, std::uint64_t{0},
                           [](std::uint64_t sum, unsigned char byte) { return sum << 8 | byte; });
}

std::uint64_t number_of(boost::asio::ip::address const& address) {
    if (address.is_v4()) {
        return address.to_v4().to_uint();
    }
    auto const v6 = address.to_v6();
    if (v6.is_v4_mapped()) {
        return boost::asio::ip::make_address_v4(boost::asio::ip::v4_mapped, v6).to_uint();
    }
    auto const bytes = v6.to_bytes();
    return big_endian(bytes.data()) + big_endian(bytes.data() + 8);
}

} // namespace

int shard_of(boost::asio::ip::address const& peer, int shards) {
    constexpr std::uint64_t golden = 0x9E3779B97F4A7C15; // 2^64 / golden ratio
    auto const fraction = number_of(peer) * golden >> 32;
    return static_cast<int>(fraction * static_cast<std::uint64_t>(shards) >> 32);
}

std::vector<std::int64_t> divide_limit(std::int64_t limit, std::vector<int> const& peers, std::int64_t least) {
    if (limit == 0) {
        std::vector<std::int64_t> unlimited(peers.size(), 0);
        return unlimited;
    }
    auto left = limit;
    auto weight = std::accumulate(peers.begin(), peers.end(), static_cast<std::int64_t>(0),
                                  [](std::int64_t sum, int each) { return sum + std::max(each, 1); });
    std::vector<std::int64_t> parts;
    for (auto const each : peers) {
        // A share of the rest, so that rounding loses nothing. Divides first because the product could overflow.
        auto const own = std::max(each, 1);
        auto const part = left / weight * own + left % weight * own / weight;
        parts.push_back(std::max(part, least));
        left -= part;
        weight -= own;
    }
    return parts;
}

std::vector<network_settings> divide_network(network_settings const& network, int slots,
                                             std::vector<int> const& peers) {
    auto const shards = static_cast<int>(peers.size());
    auto const uploads = divide_limit(network.upload_limit, peers, 1);
    auto const slot_parts = shards == 1 ? std::vector<std::int64_t>{slots} : divide_limit(slots, peers, least_slots);
    std::vector<network_settings> all;
    for (int shard = 0; shard < shards; ++shard) {
        auto const index = static_cast<std::size_t>(shard);
        auto own = network;
        for (auto& listener : own.listen) {
            listener.port = port_of_shard(listener.port, shard);
        }
        own.upload_limit = uploads[index];
        own.upload_slots = static_cast<int>(slot_parts[index]);
        // Evenly, whatever the number of peers: lowering the limit would disconnect peers.
        own.connections = (network.connections + shards - 1) / shards;
        all.push_back(std::move(own));
    }
    return all;
}

std::vector<std::uint16_t> all_ports(network_settings const& network) {
    std::vector<std::uint16_t> ports;
    for (auto const& listener : network.listen) {
        for (int shard = 0; shard < network.shards; ++shard) {
            ports.push_back(port_of_shard(listener.port, shard));
        }
    }
    return ports;
}

std::vector<ip_endpoint> peers_of_shard(std::vector<ip_endpoint> const& peers, int shard, int shards) {
    std::vector<ip_endpoint> own;
    std::ranges::copy_if(peers, std::back_inserter(own), [shard, shards](ip_endpoint const& peer) {
        return shard_of(to_tcp_endpoint(peer).address(), shards) == shard;
    });
    return own;
}

} // namespace seedbed
