#include "daemon/fleet/tracker.hpp"

#include <algorithm>
#include <set>

#include <catch2/catch.hpp>
#include <libtorrent/bdecode.hpp>

#include "daemon/http/query_string.hpp"
#include "daemon/swarm/network_shards.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using boost::asio::ip::make_address;
using endpoint = tracker::endpoint;
namespace lt = libtorrent;

namespace {

auto const served = info_hash::from_hex("0123456789abcdef002526202b7f80ff3d3f0d0a").value();
auto const server = make_address("10.0.0.1");

/// A tracker's response, parsed by libtorrent.
struct answer {
    std::string text;
    lt::bdecode_node root;

    explicit answer(std::string said)
        : text(std::move(said)) {
        lt::error_code ec;
        int position = 0;
        INFO(text);
        REQUIRE(lt::bdecode(text.data(), text.data() + text.size(), root, ec, &position) == 0);
        REQUIRE(root.type() == lt::bdecode_node::dict_t);
    }
    [[nodiscard]] std::string failure() const { return std::string(root.dict_find_string_value("failure reason")); }
    [[nodiscard]] std::int64_t number(char const* key) const { return root.dict_find_int_value(key, -1); }
    [[nodiscard]] std::set<std::string> peers() const {
        std::set<std::string> all;
        auto const v4 = root.dict_find_string_value("peers");
        for (std::size_t i = 0; i + 6 <= v4.size(); i += 6) {
            boost::asio::ip::address_v4::bytes_type bytes{};
            std::copy_n(v4.data() + i, 4, reinterpret_cast<char*>(bytes.data()));
            all.insert(boost::asio::ip::address_v4(bytes).to_string() + " " + port(v4.substr(i + 4)));
        }
        auto const v6 = root.dict_find_string_value("peers6");
        for (std::size_t i = 0; i + 18 <= v6.size(); i += 18) {
            boost::asio::ip::address_v6::bytes_type bytes{};
            std::copy_n(v6.data() + i, 16, reinterpret_cast<char*>(bytes.data()));
            all.insert(boost::asio::ip::address_v6(bytes).to_string() + " " + port(v6.substr(i + 16)));
        }
        return all;
    }
    static std::string port(lt::string_view two) {
        return std::to_string(static_cast<unsigned char>(two[0]) * 256 + static_cast<unsigned char>(two[1]));
    }
};

/// A tracker with one image, of a daemon that listens for peers as Seedbed does by default.
struct fixture {
    std::vector<announcement> heard;
    tracker subject{tracker_limits{}, [this](announcement const& said) { heard.push_back(said); }};
    tracker::clock::time_point now{1h};

    fixture() {
        subject.set_own("-SB0100-OwnOwn", {{make_address("0.0.0.0"), 6881}, {make_address("::"), 6881}});
        subject.set_images({{served, true}});
    }

    answer announce(std::string const& address, int port, std::string const& more = "&left=5",
                    std::string const& id = "-AA0000-") {
        auto peer_id = id + std::to_string(port) + address.substr(3) + std::string(20, 'x');
        peer_id.resize(20);
        return raw("/announce?info_hash=" + percent_encoded(served.bytes()) + "&peer_id=" + percent_encoded(peer_id) +
                       "&port=" + std::to_string(port) + more,
                   address);
    }
    answer raw(std::string const& target, std::string const& address = "10.0.0.2",
               boost::asio::ip::address const& local = server) {
        return answer(subject.announce(target, make_address(address), local, now));
    }
};

using peers = std::set<std::string>;

} // namespace

TEST_CASE("tracker: the announces of real clients are understood", "[tracker]") {
    fixture f;
    // As sent, except for the info-hash: each client leaves different characters unescaped.
    std::string const hash = "%01%23Eg%89%ab%cd%ef%00%25%26%20%2b%7f%80%ff%3d%3f%0d%0a";
    SECTION("libtorrent 2.0") {
        auto const said =
            f.raw("/announce?info_hash=" + hash +
                  "&peer_id=-LT2080-(BlOC)!c.FT6&port=6881&uploaded=0&downloaded=100&left=67108864&corrupt=0"
                  "&key=2F6D4C61&event=started&numwant=200&compact=1&no_peer_id=1&supportcrypto=1&redundant=0");
        CHECK(said.peers() == peers{"10.0.0.1 6881"});
        CHECK(f.heard.at(0).left == 67108864);
        CHECK(f.heard.at(0).downloaded == 100);
        CHECK(f.heard.at(0).event == announcement::event_kind::started);
        CHECK(f.heard.at(0).peer == endpoint(make_address("10.0.0.2"), 6881));
        CHECK(f.heard.at(0).peer_id == "-LT2080-(BlOC)!c.FT6");
        CHECK(f.heard.at(0).info_hash == served);
    }
    SECTION("aria2 1.36") {
        CHECK(f.raw("/announce?info_hash=%01%23Eg%89%AB%CD%EF%00%25%26%20%2B%7F%80%FF%3D%3F%0D%0A&peer_id=A2-1-36-0-%"
                    "0d%AC%a7%ff"
                    "%12%34%56%78%90%AB&uploaded=0&downloaded=0&left=5&compact=1&key=%0d%AC&numwant=50&no_peer_id=1&"
                    "port=6881"
                    "&event=completed&supportcrypto=1")
                  .peers() == peers{"10.0.0.1 6881"});
        CHECK(f.heard.at(0).event == announcement::event_kind::completed);
    }
    SECTION("Transmission 3.00, with a plus that is one") {
        CHECK(f.raw("/announce?info_hash=%01%23Eg%89%ab%cd%ef%00%25%26%20+%7f%80%ff%3d%3f%0d%0a&peer_id=-TR3000-"
                    "abcdefghijkl&"
                    "port=51413&uploaded=0&downloaded=0&left=0&numwant=80&key=1234&compact=1&supportcrypto=1&event="
                    "stopped")
                  .failure()
                  .empty());
        CHECK(f.heard.at(0).event == announcement::event_kind::stopped);
        CHECK(f.heard.at(0).left == 0);
    }
}

TEST_CASE("tracker: an invalid announce is refused and not reported", "[tracker]") {
    fixture f;
    std::string const id = "&peer_id=-AA0000-000000000000";
    CHECK(f.raw("/announce").failure() == "info_hash is missing or not 20 bytes long");
    CHECK(f.raw("/announce?info_hash=abc" + id + "&port=1").failure() == "info_hash is missing or not 20 bytes long");
    CHECK(f.raw("/announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=b&port=1").failure() ==
          "peer_id is missing or not 20 bytes long");
    for (std::string const port : {"", "&port=", "&port=65536", "&port=-1", "&port=1x", "&port=99999999999999999999"}) {
        CHECK(f.raw("/announce?info_hash=aaaaaaaaaaaaaaaaaaaa" + id + port).failure() ==
              "port is missing or not a port number");
    }
    for (std::string const escape : {"%", "%1", "%zz", "%+1", "%0x"}) {
        CHECK(f.raw("/announce?info_hash=" + escape).failure() == "invalid percent-encoding");
    }
    CHECK(f.raw("/announce?info_hash=aaaaaaaaaaaaaaaaaaaa" + id + "&port=1").failure() ==
          "this tracker does not serve this torrent");
    CHECK(f.heard.empty());
    CHECK(f.subject.peers() == 0);
}

TEST_CASE("tracker: peers learn of each other and of the daemon, but not of themselves", "[tracker]") {
    fixture f;
    auto const first = f.announce("10.0.0.2", 6881);
    CHECK(first.peers() == peers{"10.0.0.1 6881"});
    CHECK(first.number("interval") == 30);
    CHECK(first.number("min interval") == 10);
    CHECK(first.number("complete") == 1); // the daemon
    CHECK(first.number("incomplete") == 1);
    CHECK(f.announce("10.0.0.3", 6881).peers() == peers{"10.0.0.1 6881", "10.0.0.2 6881"});
    CHECK(f.announce("10.0.0.3", 6882).peers() == peers{"10.0.0.1 6881", "10.0.0.2 6881", "10.0.0.3 6881"});
    CHECK(f.announce("10.0.0.2", 6881).peers() == peers{"10.0.0.1 6881", "10.0.0.3 6881", "10.0.0.3 6882"});

    // A complete peer gets no other complete peers; a stopped peer is no longer named and gets no peers.
    CHECK(f.announce("10.0.0.2", 6881, "&left=0&event=completed").number("complete") == 2);
    CHECK(f.announce("10.0.0.3", 6881, "&left=0").peers() == peers{"10.0.0.1 6881", "10.0.0.3 6882"});
    CHECK(f.announce("10.0.0.3", 6882, "&left=5&event=stopped").peers().empty());
    auto const last = f.announce("10.0.0.2", 6881, "&left=0");
    CHECK(last.peers() == peers{"10.0.0.1 6881"});
    CHECK(last.number("incomplete") == 0);
    CHECK(f.subject.peers() == 2);
}

TEST_CASE("tracker: IPv6 has its own peers", "[tracker]") {
    fixture f;
    auto const local = make_address("fd00::1");
    auto const ask = [&](std::string const& address, std::string const& id) {
        return f.raw("/announce?info_hash=" + percent_encoded(served.bytes()) + "&peer_id=" + id + "&port=7000&left=1",
                     address, local);
    };
    f.announce("10.0.0.2", 6881);
    CHECK(ask("fd00::2", "-AA0000-000000000002").peers() == peers{"fd00::1 6881"});
    auto const second = ask("fd00::3", "-AA0000-000000000003");
    CHECK(second.peers() == peers{"fd00::1 6881", "fd00::2 7000"});
    CHECK(second.root.dict_find_string_value("peers6").size() == 36);
    CHECK(f.announce("10.0.0.4", 6881).peers() == peers{"10.0.0.1 6881", "10.0.0.2 6881"});
}

TEST_CASE("tracker: the daemon is named by the address at which the client reached it", "[tracker]") {
    fixture f;
    auto const seen_from = [&](std::string const& local) {
        return f
            .raw("/announce?info_hash=" + percent_encoded(served.bytes()) +
                     "&peer_id=-AA0000-000000000000&port=1&left=1",
                 "10.0.0.2", make_address(local))
            .peers();
    };
    CHECK(seen_from("192.168.7.1") == peers{"192.168.7.1 6881"});
    f.subject.set_own("-SB0100-OwnOwn",
                      {{make_address("10.0.0.1"), 1}, {make_address("10.0.1.1"), 2}, {make_address("fd00::1"), 3}});
    CHECK(seen_from("10.0.1.1") == peers{"10.0.1.1 2"});
    CHECK(seen_from("127.0.0.1") == peers{"10.0.0.1 1", "10.0.1.1 2"}); // it does not listen there
}

TEST_CASE("tracker: a client learns the network shard that serves it", "[tracker]") {
    fixture f;
    f.subject.set_own("-SB0100-OwnOwn", {{make_address("0.0.0.0"), 6881}}, 3);
    std::set<std::string> told;
    for (int host = 2; host < 20; ++host) {
        auto const address = "10.0.0." + std::to_string(host);
        auto const port = 6881 + shard_of(make_address(address), 3);
        auto const said = f.announce(address, 6881);
        auto const named = said.peers();
        CHECK(named.contains("10.0.0.1 " + std::to_string(port)));
        told.insert(std::to_string(port));
        CHECK(std::ranges::count_if(named, [](auto const& each) { return each.starts_with("10.0.0.1 "); }) == 1);
    }
    CHECK(told == std::set<std::string>{"6881", "6882", "6883"});
}

TEST_CASE("tracker: the daemon's own announces are answered, and it is not named to itself or kept", "[tracker]") {
    fixture f;
    f.announce("10.0.0.2", 6881);
    auto const own = f.announce("10.0.0.1", 6881, "&left=0", "-SB0100-OwnOwn");
    CHECK(own.peers().empty()); // it has everything
    CHECK(own.number("interval") == 1800);
    f.subject.set_images({{served, false}});
    CHECK(f.announce("10.0.0.1", 6881, "&left=1", "-SB0100-OwnOwn").peers() == peers{"10.0.0.2 6881"});
    CHECK(f.heard.size() == 1);
    CHECK(f.subject.peers() == 1);
    CHECK(f.announce("10.0.0.2", 6881).peers() == peers{"10.0.0.1 6881"}); // once
    f.announce("10.0.0.5", 6881, "&left=0", "-SB0100-Other1");             // another Seedbed is a peer like any
    CHECK(f.subject.peers() == 2);
}

TEST_CASE("tracker: a list of dictionaries if the client does not want a compact one", "[tracker]") {
    fixture f;
    f.announce("10.0.0.2", 6881);
    auto const said = f.announce("10.0.0.3", 6881, "&left=1&compact=0");
    auto const list = said.root.dict_find_list("peers");
    REQUIRE(list.list_size() == 2);
    CHECK(list.list_at(0).dict_find_string_value("ip") == "10.0.0.1");
    CHECK(list.list_at(0).dict_find_int_value("port") == 6881);
    CHECK(list.list_at(1).dict_find_string_value("ip") == "10.0.0.2");
    CHECK(list.list_at(1).dict_find_string_value("peer id").size() == 20);
    auto const short_one = f.announce("10.0.0.3", 6881, "&left=1&compact=0&no_peer_id=1");
    auto const without = short_one.root.dict_find_list("peers");
    CHECK(without.list_at(1).dict_find_string_value("peer id").empty());
}

TEST_CASE("tracker: a peer that is silent for two intervals is forgotten", "[tracker]") {
    fixture f;
    f.announce("10.0.0.2", 6881, "&left=5", "-SB0100-");
    f.announce("10.0.0.3", 6881, "&left=5",
               "-LT2080-"); // libtorrent announces every five minutes, whatever the interval
    f.now += 69s;
    CHECK(f.announce("10.0.0.4", 6881).peers() == peers{"10.0.0.1 6881", "10.0.0.2 6881", "10.0.0.3 6881"});
    f.now += 2s;
    CHECK(f.announce("10.0.0.4", 6881).peers() == peers{"10.0.0.1 6881", "10.0.0.3 6881"});
    f.now += 540s;
    f.announce("10.0.0.4", 6881);
    CHECK(f.announce("10.0.0.4", 6881).peers() == peers{"10.0.0.1 6881"});
    CHECK(f.subject.peers() == 1);
}

TEST_CASE("tracker: the number of peers is limited, and a peer above the limit still gets a response", "[tracker]") {
    fixture f;
    std::string const other(20, 'o');
    f.subject.set_images({{served, true}, {info_hash::from_bytes(other).value(), true}});
    tracker_limits limits;
    limits.peers_per_image = 3;
    limits.peers = 4;
    limits.numwant = 2;
    f.subject.set_limits(limits);
    for (int port = 1; port <= 5; ++port) {
        CHECK(f.announce("10.0.0.9", port).peers().size() == static_cast<std::size_t>(1 + std::min(port - 1, 2)));
    }
    CHECK(f.subject.peers() == 3);
    CHECK(f.announce("10.0.0.9", 9, "&left=1&numwant=1").peers().size() == 2);
    CHECK(f.announce("10.0.0.9", 9, "&left=1&numwant=0").peers() == peers{"10.0.0.1 6881"});
    for (int port = 1; port <= 2; ++port) {
        f.raw("/announce?info_hash=" + other + "&peer_id=-AA0000-00000000000" + std::to_string(port) +
              "&left=1&port=" + std::to_string(port));
    }
    CHECK(f.subject.peers() == 4);
    // and peers of a removed image no longer count
    f.subject.set_images({{info_hash::from_bytes(other).value(), true}});
    CHECK(f.subject.peers() == 1);
    CHECK(f.announce("10.0.0.9", 1).failure() == "this tracker does not serve this torrent");
}

TEST_CASE("tracker: an address has few peers, however many ports it announces", "[tracker]") {
    fixture f;
    int room = 64;
    tracker_limits limits;
    limits.numwant = 200; // the answer lists all
    SECTION("by default") {}
    SECTION("as many as the operator wants") {
        room = 16;
        limits.peers_per_address = 16;
    }
    f.subject.set_limits(limits);
    f.announce("10.0.0.1", 6881);
    for (int port = 1; port <= 500; ++port) {
        f.now += 1ms;
        f.announce("10.0.0.9", port);
    }
    CHECK(f.subject.peers() == static_cast<std::size_t>(1 + room));
    auto const known = f.announce("10.0.0.2", 6881).peers();
    CHECK(std::ranges::find(known, "10.0.0.1 6881") != known.end());
    CHECK(std::ranges::find(known, "10.0.0.9 500") != known.end());
    CHECK(std::ranges::find(known, "10.0.0.9 " + std::to_string(500 - room)) == known.end());
}

TEST_CASE("tracker: the image's own state is part of the numbers, and peers survive its changes", "[tracker]") {
    fixture f;
    f.announce("10.0.0.2", 6881);
    f.subject.set_images({{served, false}});
    CHECK(f.subject.peers() == 1);
    CHECK(f.announce("10.0.0.2", 6881).number("complete") == 0);
}

TEST_CASE("tracker: scrape reports the requested images, or all", "[tracker]") {
    fixture f;
    std::string const other(20, 'o');
    f.subject.set_images({{served, true}, {info_hash::from_bytes(other).value(), false}});
    f.announce("10.0.0.2", 6881);
    f.announce("10.0.0.3", 6881, "&left=0&event=completed");
    auto const all = answer(f.subject.scrape("/scrape", f.now));
    auto const files = all.root.dict_find_dict("files");
    REQUIRE(files.dict_size() == 2);
    auto const file = files.dict_find_dict(std::string(served.bytes()));
    CHECK(file.dict_find_int_value("complete") == 2);
    CHECK(file.dict_find_int_value("incomplete") == 1);
    CHECK(file.dict_find_int_value("downloaded") == 1);
    auto const some =
        answer(f.subject.scrape("/scrape?info_hash=" + other + "&info_hash=" + std::string(20, 'n'), f.now));
    CHECK(some.root.dict_find_dict("files").dict_size() == 1);
    CHECK(answer(f.subject.scrape("/scrape?info_hash=%", f.now)).failure() == "invalid percent-encoding");
}
