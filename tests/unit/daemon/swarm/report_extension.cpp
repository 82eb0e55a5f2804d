#include "daemon/swarm/report_extension.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <catch2/catch.hpp>
#include <libtorrent/entry.hpp>

#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;
namespace lt = libtorrent;

namespace {

constexpr char const* key = "sb_report";

struct report_test {
    explicit report_test(std::uint16_t report_port) {
        auto spec = store.checked_spec();
        spec.report_port = report_port;
        spec.on_report_port = [this](boost::asio::ip::tcp::endpoint const& peer) {
            reports.emplace_back(peer.address().to_string(), peer.port());
        };
        seed.add(spec);
        seed.run_until("complete");
    }
    /// Sends extended messages, and returns when the session has read them, or has ended the connection.
    void send(std::vector<std::string> const& payloads) {
        auto const peer = connect_peer(loop, image.torrent(), 3, endpoint(1));
        for (auto const& payload : payloads) {
            peer->send(wire_peer::extended, std::string(1, '\0') + payload);
        }
        peer->send(wire_peer::interested);
        peer->request_piece(0, 64 << 10);
        loop.run_until([&] { return peer->closed || peer->count(wire_peer::piece) == 4; });
        seed.round_trip();
        peer->close();
    }

    test_loop loop;
    test_image image{1};
    test_store store{image, image_mode::seed, image.full_file()};
    session_with_torrent seed{loop, store, 1};
    std::vector<std::pair<std::string, std::uint16_t>> reports;
};

std::string with_port(std::string const& value) {
    return "d9:sb_report" + value + "e";
}

} // namespace

TEST_CASE("report port: a peer learns this daemon's, if it has one") {
    for (std::uint16_t const port : {std::uint16_t{7777}, std::uint16_t{0}}) {
        report_test t(port);
        auto const peer = t.seed.connect(3, 1);
        t.loop.run_until([&] { return peer->extension_handshake.has_value(); });
        auto const* const found = peer->extension_handshake->find_key(key);
        CHECK((found != nullptr) == (port != 0));
        if (found != nullptr) {
            CHECK(found->integer() == port);
        }
    }
}

TEST_CASE("report port: a peer's is reported with its address") {
    report_test t(0);
    t.send({with_port("i4711e")});
    CHECK(t.reports == std::vector<std::pair<std::string, std::uint16_t>>{{loopback(3), 4711}});
}

TEST_CASE("report port: nonsense is ignored") {
    report_test t(0);
    for (auto const* value :
         {"i0e", "i-1e", "i65536e", "i99999999999999999999e", "4:4711", "li4711ee", "de", "i4711", ""}) {
        INFO(value);
        t.send({with_port(value)});
        CHECK(t.reports.empty());
    }
    for (auto const& payload : {std::string(), std::string("d"), std::string("i4711e"), std::string("9:sb_report"),
                                "d1:a60000:" + std::string(60'000, 'x'), std::string(1000, '\xff')}) {
        INFO(payload.substr(0, 20));
        t.send({payload});
        CHECK(t.reports.empty());
    }
    t.send({with_port("i65535e")});
    CHECK(t.reports.size() == 1);
}

TEST_CASE("report port: a peer that repeats its handshake is reported once per connection") {
    report_test t(0);
    t.send(std::vector<std::string>(1000, with_port("i4711e")));
    CHECK(t.reports.size() == 1);
    t.send({with_port("i4712e"), with_port("i4713e")});
    REQUIRE(t.reports.size() == 2);
    CHECK(t.reports.back().second == 4712);
}

TEST_CASE("report port: a peer may name its port in a later handshake") {
    report_test t(0);
    t.send({"de", with_port("i0e"), with_port("i4711e")});
    CHECK(t.reports.size() == 1);
}
