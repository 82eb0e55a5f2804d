#include "daemon/swarm/peer_room.hpp"

#include <cstddef>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

struct room_test {
    static constexpr std::size_t most = 60;
    peer_room room;
    peer_room::clock::time_point now{100h};

    peer_room::verdict join(int host) {
        return room.join(boost::asio::ip::make_address("10.0.0." + std::to_string(host)), false, most, now);
    }
    /// Takes every place, from different addresses, 1 to 60. \param with_reason all say that they want something.
    std::vector<peer_room::id> fill(bool with_reason) {
        std::vector<peer_room::id> members;
        for (int host = 1; host <= 60; ++host) {
            members.push_back(join(host).admitted.value());
            if (with_reason) {
                room.has_reason(members.back());
            }
        }
        return members;
    }
    int crowd(int host, int count) {
        int admitted = 0;
        for (int i = 0; i < count; ++i) {
            admitted += join(host).admitted ? 1 : 0;
        }
        return admitted;
    }
};

} // namespace

TEST_CASE("peer room: one address cannot take all places") {
    room_test t;
    CHECK(t.crowd(66, 150) == 30);
    for (int host = 1; host <= 30; ++host) {
        CHECK(t.join(host).admitted);
    }
    CHECK(t.room.size() == 60);
}

TEST_CASE("peer room: when half of the places are in use, an address has few") {
    room_test t;
    t.crowd(66, 150);
    CHECK(t.crowd(67, 150) == 8);
    CHECK(t.crowd(68, 150) == 8);
}

TEST_CASE("peer room: an idle peer makes room for a new one, another does not") {
    room_test t;
    auto const members = t.fill(false);
    CHECK_FALSE(t.join(99).admitted); // all have just come
    t.now += peer_room::patience().silent;
    t.room.has_reason(members[0]);
    auto const next = t.join(99);
    CHECK(next.admitted);
    CHECK(next.leaves == members[1]);
    CHECK(t.room.size() == 60);
    for (auto const each : members) {
        t.room.has_reason(each);
    }
    CHECK_FALSE(t.join(100).admitted);
    t.room.leave(members[5]);
    t.room.leave(members[5]);
    CHECK(t.join(100).admitted);
    CHECK(t.room.size() == 60);
}

TEST_CASE("peer room: a peer that only says that it wants something is idle after a longer time") {
    room_test t;
    auto const members = t.fill(true);
    t.now += peer_room::patience().with_reason - 1s;
    t.room.is_active(members[0], t.now);
    CHECK_FALSE(t.join(98).admitted);
    t.now += 1s;
    CHECK(t.join(99).leaves == members[1]);
    // One without a reason goes first.
    t.now += peer_room::patience().silent;
    t.room.leave(members[59]);
    auto const silent = t.join(100).admitted;
    CHECK_FALSE(t.join(101).leaves == silent);
    t.now += peer_room::patience().silent;
    CHECK(t.join(102).leaves == silent);
}

TEST_CASE("peer room: idle peers of many addresses do not take every place that becomes free") {
    room_test t;
    t.fill(false);
    t.now += peer_room::patience().silent;
    for (int host = 61; host <= 70; ++host) {
        auto const next = t.join(host).admitted;
        REQUIRE(next);
        t.room.has_reason(*next);
    }
    for (int host = 1; host <= 10; ++host) { // the ten that were replaced
        CHECK_FALSE(t.join(host).admitted);
    }
    CHECK(t.join(99).admitted);
    auto const again = t.join(11); // replaced just now
    CHECK_FALSE(again.admitted);
    CHECK(t.join(20).admitted); // an address that still has a place may take an idle one's
    t.now += 30s;
    CHECK(t.join(1).admitted);
}

TEST_CASE("peer room: a new peer of an address with its share takes the place of an idle one of that address") {
    room_test t;
    auto const other = t.join(1).admitted.value();
    t.crowd(66, 150);
    t.now += peer_room::patience().silent;
    auto const next = t.join(66);
    CHECK(next.admitted);
    CHECK(next.leaves);
    CHECK(next.leaves != other);
}

TEST_CASE("peer room: what an address puts in the place of its own idle peer is as idle as that was") {
    room_test t;
    auto const members = t.fill(true);
    t.now += peer_room::patience().with_reason;
    auto const next = t.join(1);
    CHECK(next.leaves == members[0]);
    CHECK(t.join(61).leaves == next.admitted);
}

TEST_CASE("peer room: an address whose peer only said that it wanted something replaces no others for longer") {
    room_test t;
    auto const members = t.fill(true);
    t.now += peer_room::patience().with_reason;
    auto const first = t.join(61);
    REQUIRE(first.leaves == members[0]);
    t.room.has_reason(first.admitted.value());
    // Another peer of that address, which says nothing and is replaced in its turn, does not shorten the time.
    t.room.leave(members[59]);
    auto const silent = t.join(1).admitted;
    t.now += peer_room::patience().silent;
    CHECK(t.join(62).leaves == silent);
    t.now += 84s;
    CHECK_FALSE(t.join(1).admitted);
    t.now += 1s;
    CHECK(t.join(1).admitted);
}

TEST_CASE("peer room: there is always room for a known peer, up to its address's share") {
    room_test t;
    t.crowd(66, 150);
    t.crowd(67, 150);
    for (int host = 1; t.room.size() < t.most; ++host) {
        t.join(host);
    }
    auto const known = boost::asio::ip::make_address("10.0.0.99");
    for (int i = 0; i < 8; ++i) {
        auto const decision = t.room.join(known, true, t.most, t.now);
        CHECK(decision.admitted);
        CHECK_FALSE(decision.leaves);
    }
    CHECK_FALSE(t.room.join(known, true, t.most, t.now).admitted);
    CHECK_FALSE(t.join(98).admitted); // known ones count
}
