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

TEST_CASE("a deployment that gets good pieces gives no source up") {
    damage_policy policy(1s);
    for (int good = 1; good <= 3 * damage_policy::most; ++good) {
        auto const decided = policy.on_banned(peer(1), 0, good);
        CHECK(decided.what == action::retry);
        CHECK(decided.pause == 1s);
        CHECK(decided.pieces == good);
        policy.on_lifted(peer(1).address());
    }
}

TEST_CASE("a peer that others replace is tried again less often") {
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
