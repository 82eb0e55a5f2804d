#include "daemon/fleet/announced_peers.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <map>
#include <random>
#include <set>

#include <catch2/catch.hpp>

namespace seedbed {

namespace {

using endpoint = announced_peers::endpoint;
using time_point = announced_peers::clock::time_point;

endpoint at(unsigned number, std::uint16_t port = 6881) {
    return {boost::asio::ip::address_v4(0x0a000000U + number), port};
}

announced_peer peer_at(endpoint const& where, bool complete = false, int second = 0) {
    return {where, "-SB0000-abcdefghijkl", complete, time_point(std::chrono::seconds(second))};
}

bool any(announced_peer const&) {
    return true;
}

} // namespace

TEST_CASE("announced peers: counts follow every change") {
    announced_peers peers;
    std::map<endpoint, bool> expected;
    std::minstd_rand random(1);
    auto const next = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
    for (int step = 0; step < 3000; ++step) {
        auto const where = at(next(40), static_cast<std::uint16_t>(1 + next(3)));
        auto const complete = next(2) == 0;
        switch (next(4)) {
        case 0:
            CHECK(peers.remove(where) == (expected.erase(where) != 0));
            break;
        case 1:
            peers.expire([&](announced_peer const& each) { return each.where == where; });
            expected.erase(where);
            break;
        default:
            CHECK(peers.update(peer_at(where, complete)) == expected.contains(where));
            if (!expected.contains(where)) {
                peers.add(peer_at(where, complete));
            }
            expected[where] = complete;
        }
        auto const complete_ones = std::ranges::count_if(expected, [](auto const& each) { return each.second; });
        REQUIRE(peers.size() == expected.size());
        REQUIRE(peers.complete() == static_cast<std::size_t>(complete_ones));
        REQUIRE(peers.incomplete() == expected.size() - static_cast<std::size_t>(complete_ones));
    }
}

TEST_CASE("announced peers: the oldest of an address makes room, no other") {
    announced_peers peers;
    peers.add(peer_at(at(1), false, 1));
    peers.add(peer_at(at(2, 1), false, 5));
    peers.add(peer_at(at(2, 2), true, 3));
    peers.add(peer_at(at(2, 3), false, 4));
    peers.add(peer_at(at(3), false, 2));
    CHECK_FALSE(peers.make_room_at(at(2).address(), 4));
    CHECK_FALSE(peers.make_room_at(at(4).address(), 0));
    CHECK(peers.make_room_at(at(2).address(), 3));
    CHECK(peers.size() == 4);
    CHECK(peers.complete() == 0);
    CHECK_FALSE(peers.remove(at(2, 2)));
    CHECK(peers.remove(at(1)));
}

TEST_CASE("announced peers: a sample has different ones that fit, and each has its turn") {
    std::minstd_rand random(7);
    for (auto const count : {0U, 1U, 2U, 7U, 30U}) {
        announced_peers peers;
        for (unsigned number = 0; number < count; ++number) {
            peers.add(peer_at(at(number), number % 3 == 0));
        }
        std::set<endpoint> met;
        for (int round = 0; round < 400; ++round) {
            auto const chosen = peers.sample(3, random, any);
            std::set<endpoint> different;
            for (auto const* const each : chosen) {
                different.insert(each->where);
            }
            REQUIRE(chosen.size() == std::min(count, 3U));
            REQUIRE(different.size() == chosen.size());
            met.merge(different);
        }
        CHECK(met.size() == count);
        auto const complete = peers.sample(100, random, [](announced_peer const& each) { return each.complete; });
        CHECK(complete.size() == peers.complete());
        CHECK(peers.sample(0, random, any).empty());
    }
}

} // namespace seedbed
