#include "daemon/swarm/network_shards.hpp"

#include <algorithm>
#include <numeric>

#include <catch2/catch.hpp>

#include "support/endpoints.hpp"

using namespace seedbed;
using boost::asio::ip::make_address;
using boost::asio::ip::make_address_v4;
using parts = std::vector<std::int64_t>;

namespace {

/// How many of 64 addresses, \p step apart, each shard has.
std::vector<int> spread(std::uint32_t step, int shards) {
    std::vector<int> counts(static_cast<std::size_t>(shards), 0);
    for (std::uint32_t i = 0; i < 64; ++i) {
        ++counts.at(static_cast<std::size_t>(shard_of(make_address_v4(0x0a4d0001 + i * step), shards)));
    }
    return counts;
}

} // namespace

TEST_CASE("network shards: an address has one shard, however it is written", "[shards]") {
    auto const address = make_address("10.77.0.5");
    CHECK(shard_of(address, 1) == 0);
    CHECK(shard_of(address, 16) == shard_of(make_address("::ffff:10.77.0.5"), 16));
    CHECK(shard_of(make_address("fe80::1%1"), 16) == shard_of(make_address("fe80::1"), 16));
    CHECK(shard_of(make_address("255.255.255.255"), 16) < 16);
    CHECK(shard_of(make_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 16) < 16);
}

TEST_CASE("network shards: consecutive addresses and those at a distance spread evenly", "[shards]") {
    for (std::uint32_t const step : {1U, 2U, 10U, 256U}) {
        for (int const shards : {2, 3, 4, 16}) {
            auto const counts = spread(step, shards);
            INFO("step " << step << ", shards " << shards);
            CHECK(*std::ranges::max_element(counts) <= 64 / shards * 2);
            CHECK(*std::ranges::min_element(counts) >= 64 / shards / 2);
        }
    }
}

TEST_CASE("network shards: a limit is divided by peers, and all of it is used", "[shards]") {
    CHECK(divide_limit(0, {3, 1}, 1) == parts{0, 0});
    CHECK(divide_limit(100, {7}, 1) == parts{100});
    CHECK(divide_limit(100, {3, 1}, 1) == parts{75, 25});
    CHECK(divide_limit(100, {0, 0, 0}, 1) == parts{33, 33, 34});
    CHECK(divide_limit(100, {9, 0}, 1) == parts{90, 10}); // for the first peer
    CHECK(divide_limit(1, {1, 1}, 1) == parts{1, 1});     // 0 would be no limit
    CHECK(divide_limit(3, {1, 1}, 2) == parts{2, 2});
    auto const large = divide_limit(2'147'483'647, {4000, 3999, 1}, 1);
    CHECK(std::accumulate(large.begin(), large.end(), std::int64_t{0}) == 2'147'483'647);
}

TEST_CASE("network shards: each has its own ports and its part of the limits", "[shards]") {
    network_settings network;
    network.listen = test::endpoints({"10.0.0.1:6881", "[::]:7000"});
    network.upload_limit = 1000;
    network.download_limit = 500;
    network.connections = 5;
    network.shards = 2;
    auto const both = divide_network(network, 8, {3, 1});
    REQUIRE(both.size() == 2);
    CHECK(both[0].listen == network.listen);
    CHECK(both[1].listen == test::endpoints({"10.0.0.1:6882", "[::]:7001"}));
    CHECK(both[0].upload_limit == 750);
    CHECK(both[1].upload_limit == 250);
    CHECK(both[0].upload_slots == 6);
    CHECK(both[1].upload_slots == 2);
    CHECK(both[0].connections == 3);
    CHECK(both[1].connections == 3);
    CHECK(both[0].download_limit == 500); // only the first shard downloads
    CHECK(divide_network(network, 0, {3, 1})[1].upload_slots == 0);
    CHECK(all_ports(network) == std::vector<std::uint16_t>{6881, 6882, 7000, 7001});
}

TEST_CASE("network shards: a single one has the configured settings", "[shards]") {
    network_settings network;
    network.upload_limit = 3;
    CHECK(divide_network(network, network.upload_slots, {7}) == std::vector<network_settings>{network});
}

TEST_CASE("network shards: each configured peer is connected to by its own shard", "[shards]") {
    std::vector<ip_endpoint> peers;
    for (int i = 1; i < 30; ++i) {
        peers.push_back(test::endpoint("10.77.0." + std::to_string(i) + ":6881"));
    }
    auto const first = peers_of_shard(peers, 0, 2);
    auto const second = peers_of_shard(peers, 1, 2);
    CHECK(first.size() + second.size() == peers.size());
    for (auto const& peer : first) {
        CHECK(shard_of(make_address(to_string(peer.address)), 2) == 0);
        CHECK(std::ranges::find(second, peer) == second.end());
    }
    CHECK(peers_of_shard(peers, 0, 1) == peers);
}
