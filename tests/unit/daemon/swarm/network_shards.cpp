#include "daemon/swarm/network_shards.hpp"

#include <algorithm>
#include <numeric>

#include <catch2/catch.hpp>

#include "daemon/swarm/shard_placement.hpp"
#include "support/endpoints.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
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

TEST_CASE("shards: an address has one, whatever it is written in", "[shards]") {
    auto const address = make_address("10.77.0.5");
    CHECK(shard_of(address, 1) == 0);
    CHECK(shard_of(address, 16) == shard_of(make_address("::ffff:10.77.0.5"), 16));
    CHECK(shard_of(make_address("fe80::1%1"), 16) == shard_of(make_address("fe80::1"), 16));
    CHECK(shard_of(make_address("255.255.255.255"), 16) < 16);
    CHECK(shard_of(make_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), 16) < 16);
}

TEST_CASE("shards: the addresses of a room spread evenly, also those at a distance", "[shards]") {
    for (std::uint32_t const step : {1U, 2U, 10U, 256U}) {
        for (int const shards : {2, 3, 4, 16}) {
            auto const counts = spread(step, shards);
            INFO("step " << step << ", shards " << shards);
            CHECK(*std::ranges::max_element(counts) <= 64 / shards * 2);
            CHECK(*std::ranges::min_element(counts) >= 64 / shards / 2);
        }
    }
}

TEST_CASE("shards: a limit is parted by peers, and nothing of it is lost", "[shards]") {
    CHECK(divide_limit(0, {3, 1}, 1) == parts{0, 0});
    CHECK(divide_limit(100, {7}, 1) == parts{100});
    CHECK(divide_limit(100, {3, 1}, 1) == parts{75, 25});
    CHECK(divide_limit(100, {0, 0, 0}, 1) == parts{33, 33, 34});
    CHECK(divide_limit(100, {9, 0}, 1) == parts{90, 10}); // for the first that comes
    CHECK(divide_limit(1, {1, 1}, 1) == parts{1, 1});     // 0 would be no limit
    CHECK(divide_limit(3, {1, 1}, 2) == parts{2, 2});
    auto const large = divide_limit(2'147'483'647, {4000, 3999, 1}, 1);
    CHECK(std::accumulate(large.begin(), large.end(), std::int64_t{0}) == 2'147'483'647);
}

TEST_CASE("shards: each one has ports of its own and its part of the limits", "[shards]") {
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
    CHECK(both[0].download_limit == 500); // only the first one downloads
    CHECK(divide_network(network, 0, {3, 1})[1].upload_slots == 0);
    CHECK(all_ports(network) == std::vector<std::uint16_t>{6881, 6882, 7000, 7001});
}

TEST_CASE("shards: a single one is as it was configured", "[shards]") {
    network_settings network;
    network.upload_limit = 3;
    CHECK(divide_network(network, network.upload_slots, {7}) == std::vector<network_settings>{network});
}

namespace {

struct placed {
    shard_placement places{2};
    boost::asio::ip::address peer = make_address("10.77.0.5");
    int home = places.home_of(peer);
    int other = 1 - home;
    shard_placement::clock::time_point now{1h};
};

} // namespace

TEST_CASE("placement: a peer is at home, however many machines have its address", "[shards]") {
    placed p;
    CHECK_FALSE(p.places.has(p.peer));
    CHECK(p.places.admit(p.home, p.peer, p.now));
    CHECK(p.places.admit(p.home, p.peer, p.now));
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now));
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now + 10s)); // it is at home
    p.places.leave(p.peer);
    CHECK(p.places.has(p.peer));
    p.places.leave(p.peer);
    CHECK_FALSE(p.places.has(p.peer));
}

TEST_CASE("placement: who can not be brought home stays where it came, as long as it is there", "[shards]") {
    placed p;
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now));
    CHECK_FALSE(p.places.has(p.peer));
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now + 2s)); // it is being brought home
    CHECK(p.places.place_of(p.peer) == p.home);
    CHECK(p.places.admit(p.other, p.peer, p.now + 3s));
    CHECK(p.places.place_of(p.peer) == p.other); // where the next machine of that address is sent
    CHECK_FALSE(p.places.admit(p.home, p.peer, p.now + 3s));
    CHECK(p.places.admit(p.other, p.peer, p.now + 3s));
    p.places.leave(p.peer);
    p.places.leave(p.peer);
    CHECK(p.places.place_of(p.peer) == p.home);
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now + 4s)); // all over again
    CHECK(p.places.admit(p.home, p.peer, p.now + 4s));
}

TEST_CASE("placement: a refusal of long ago does not count", "[shards]") {
    placed p;
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now));
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now + 301s));
    CHECK(p.places.admit(p.other, p.peer, p.now + 305s));
}

TEST_CASE("placement: addresses that never come again do not pile up", "[shards]") {
    placed p;
    REQUIRE(p.places.admit(p.home, p.peer, p.now));
    for (std::uint32_t i = 0; i < 100'000; ++i) {
        static_cast<void>(p.places.admit(0, make_address_v4(0x0b000000 + i), p.now + std::chrono::milliseconds(i)));
        if (p.places.has(make_address_v4(0x0b000000 + i))) {
            p.places.leave(make_address_v4(0x0b000000 + i));
        }
    }
    CHECK(p.places.known() < 20'000);
    CHECK(p.places.has(p.peer));
}
