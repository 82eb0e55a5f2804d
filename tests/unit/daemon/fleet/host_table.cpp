#include "daemon/fleet/host_table.hpp"

#include <chrono>
#include <cstdint>
#include <random>
#include <string>

#include <catch2/catch.hpp>

namespace seedbed {

TEST_CASE("host table: its counts are those of its hosts after every change") {
    using namespace std::chrono_literals;
    std::minstd_rand random(3);
    auto const next = [&](unsigned limit) { return static_cast<unsigned>(random() % limit); };
    host_table hosts(12);
    hosts.set_expected({});
    auto now = host_table::clock::time_point(1h);
    auto const some_address = [&] { return host_table::address(boost::asio::ip::address_v4(0x0a000000U + next(20))); };
    for (int step = 0; step < 20'000; ++step) {
        now += 1s;
        auto const where = some_address();
        auto const port = static_cast<std::uint16_t>(1 + next(3));
        auto* known = hosts.find(where, port).host;
        if (known == nullptr) {
            known = hosts.add(where, port, now);
        }
        if (known == nullptr) {
            continue; // no room
        }
        switch (next(6)) {
        case 0:
            hosts.stop(*known, now);
            break;
        case 1:
            hosts.resume(*known);
            break;
        case 2:
            hosts.add_address(*known, some_address());
            break;
        case 3:
            hosts.set_id(*known, "-SB0000-" + std::string(12, static_cast<char>('a' + next(20))));
            break;
        default:
            hosts.set_phase(*known, static_cast<host_phase>(next(5)));
        }
        REQUIRE(hosts.invariant_holds());
    }
}

} // namespace seedbed
