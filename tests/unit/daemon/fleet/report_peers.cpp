#include "daemon/fleet/report_peers.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace seedbed;
using boost::asio::ip::make_address;
using boost::asio::ip::tcp;

TEST_CASE("report peers: an address has one port, the last one, however many it names") {
    report_peers peers;
    CHECK(peers.add({make_address("10.0.0.1"), 6969}));
    for (int port = 1; port < 65536; ++port) {
        auto const is_new = peers.add({make_address("10.0.0.66"), static_cast<std::uint16_t>(port)});
        REQUIRE(is_new == (port == 1));
    }
    CHECK(peers.all() ==
          std::vector<tcp::endpoint>{{make_address("10.0.0.1"), 6969}, {make_address("10.0.0.66"), 65535}});
}

TEST_CASE("report peers: many addresses do not push the first ones out") {
    report_peers peers;
    for (int i = 1; i < 200; ++i) {
        auto const is_kept = peers.add({make_address("10.0.0." + std::to_string(i)), 6969});
        REQUIRE(is_kept == (i <= static_cast<int>(report_peers::most)));
    }
    CHECK(peers.all().size() == report_peers::most);
    CHECK(peers.all().front() == tcp::endpoint(make_address("10.0.0.1"), 6969));
}
