#include "daemon/image/damage_policy.hpp"

#include <chrono>
#include <map>
#include <string>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;
using action = damage_policy::action;

namespace {

boost::asio::ip::tcp::endpoint peer(int host, unsigned short port = 6881) {
    return {boost::asio::ip::make_address("10.0.0." + std::to_string(host)), port};
}

} // namespace

TEST_CASE("the only source of damaged pieces is tried again after growing pauses, and then given up") {
    damage_policy policy(1s);
    for (auto const pause : {1s, 2s, 4s, 8s}) {
        auto const decided = policy.on_banned(peer(1), 0, 7);
        CHECK(decided.what == action::retry);
        CHECK(decided.pause == pause);
        policy.on_lifted(peer(1).address());
    }
    auto const last = policy.on_banned(peer(1), 0, 7);
    CHECK(last.what == action::give_up);
    CHECK(last.pieces == damage_policy::most);
}

TEST_CASE("a deployment that gets good pieces gives up no source") {
    damage_policy policy(1s);
    for (int good = 1; good <= 3 * damage_policy::most; ++good) {
        auto const decided = policy.on_banned(peer(1), 0, good);
        CHECK(decided.what == action::retry);
        CHECK(decided.pause == 1s);
        CHECK(decided.pieces == good);
        policy.on_lifted(peer(1).address());
    }
}

TEST_CASE("a peer that other sources can replace is tried again less often") {
    damage_policy policy(1s);
    auto pause = 0ms;
    for (int good = 1; good <= 20; ++good) {
        pause = policy.on_banned(peer(1), 1, good).pause;
        policy.on_lifted(peer(1).address());
    }
    CHECK(pause == 1024s);
    CHECK(policy.on_banned(peer(2), 1, 20).pause == 1s);
}

TEST_CASE("several damaged pieces of one connection are counted, and are one reason to try again") {
    damage_policy policy(1s);
    CHECK(policy.on_banned(peer(1), 0, 7).what == action::retry);
    for (int i = 2; i <= 2 * damage_policy::most; ++i) {
        auto const decided = policy.on_banned(peer(1), 0, 7);
        CHECK(decided.what == action::none);
        CHECK(decided.pieces == i);
    }
    policy.on_lifted(peer(1).address());
    CHECK(policy.on_banned(peer(1), 0, 7).pause == 2s);
}

TEST_CASE("a peer is known by its address, whatever its port is") {
    damage_policy policy(1s);
    CHECK(policy.on_banned(peer(1, 1111), 0, 0).what == action::retry);
    policy.on_lifted(peer(1).address());
    CHECK(policy.on_banned(peer(1, 2222), 0, 0).pause == 2s);
    CHECK(policy.on_banned(peer(2), 0, 0).pause == 1s);
    CHECK(policy.pieces() == std::map<std::string, int>{{"10.0.0.1:2222", 2}, {"10.0.0.2:6881", 1}});
}

TEST_CASE("the sources of damage that are known at a time are limited") {
    constexpr int most = damage_policy::most_sources;
    auto const source = [](int number) {
        return boost::asio::ip::tcp::endpoint(boost::asio::ip::address_v4(0x0a000000U + static_cast<unsigned>(number)),
                                              6881);
    };
    damage_policy policy(1s);
    for (int i = 0; i < most; ++i) {
        CHECK(policy.on_banned(source(i), 1, 0).what == action::retry);
    }
    // None can be forgotten while it is banned: the ban of another one stays.
    CHECK(policy.on_banned(source(most), 1, 0).what == action::none);
    policy.on_lifted(source(most).address());
    CHECK(policy.pieces().size() == damage_policy::most_sources);
    // The one whose ban was lifted first is forgotten.
    policy.on_lifted(source(7).address());
    policy.on_lifted(source(3).address());
    CHECK(policy.on_banned(source(most), 1, 0).what == action::retry);
    CHECK(policy.pieces().size() == damage_policy::most_sources);
    CHECK_FALSE(policy.pieces().contains("10.0.0.7:6881"));
    CHECK(policy.on_banned(source(3), 1, 0).pause == 2s);
}
