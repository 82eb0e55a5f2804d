#include "daemon/swarm/shard_placement.hpp"

#include <chrono>
#include <cstdint>

#include <boost/asio/ip/address.hpp>
#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;
using boost::asio::ip::make_address;
using boost::asio::ip::make_address_v4;

namespace {

struct placed {
    shard_placement places{2};
    boost::asio::ip::address peer = make_address("10.77.0.5");
    int home = places.home_of(peer);
    int other = 1 - home;
    shard_placement::clock::time_point now{1h};
};

} // namespace

TEST_CASE("shard placement: all machines of an address are at their home shard", "[shards]") {
    placed p;
    CHECK_FALSE(p.places.has(p.peer));
    CHECK(p.places.admit(p.home, p.peer, p.now));
    CHECK(p.places.admit(p.home, p.peer, p.now));
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now));
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now + 10s)); // it is connected at home
    p.places.leave(p.peer);
    CHECK(p.places.has(p.peer));
    p.places.leave(p.peer);
    CHECK_FALSE(p.places.has(p.peer));
}

TEST_CASE("shard placement: a peer that its home shard cannot reach stays at the other shard while it is connected",
          "[shards]") {
    placed p;
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now));
    CHECK_FALSE(p.places.has(p.peer));
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now + 2s)); // its home connects to it meanwhile
    CHECK(p.places.place_of(p.peer) == p.home);
    CHECK(p.places.admit(p.other, p.peer, p.now + 3s));
    CHECK(p.places.place_of(p.peer) == p.other); // the place for the next machine of that address
    CHECK_FALSE(p.places.admit(p.home, p.peer, p.now + 3s));
    CHECK(p.places.admit(p.other, p.peer, p.now + 3s));
    p.places.leave(p.peer);
    p.places.leave(p.peer);
    CHECK(p.places.place_of(p.peer) == p.home);
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now + 4s)); // starts over
    CHECK(p.places.admit(p.home, p.peer, p.now + 4s));
}

TEST_CASE("shard placement: an old refusal does not count", "[shards]") {
    placed p;
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now));
    CHECK_FALSE(p.places.admit(p.other, p.peer, p.now + 301s));
    CHECK(p.places.admit(p.other, p.peer, p.now + 305s));
}

TEST_CASE("shard placement: addresses that do not return are forgotten", "[shards]") {
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
