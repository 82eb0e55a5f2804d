#include "daemon/fleet/saved_fleet.hpp"

#include <string>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace seedbed;

namespace {

std::string const good = R"({"addresses":["10.0.0.1"],"port":6881,"state":"verified","started":1,"ended":2})";

result<saved_fleet> parsed(std::string const& text) {
    return saved_fleet::from_json(nlohmann::json::parse(text, nullptr, false));
}

saved_fleet with_hosts(std::string const& hosts) {
    return parsed(R"({"format":1,"hosts":[)" + hosts + "]}").value();
}

} // namespace

TEST_CASE("saved fleet: its text is read back without loss") {
    saved_fleet saved;
    saved.deployed = true;
    saved.round_began = 5;
    saved.started = 6;
    saved.ended = 7;
    using boost::asio::ip::make_address;
    saved.hosts.push_back({{make_address("10.0.0.1"), make_address("fd00::1")},
                           6881,
                           host_state::verified,
                           1LL << 40,
                           8,
                           9,
                           true,
                           std::string("-SB0100-\0\xff"
                                       "0123456789",
                                       20),
                           "key &\x01",
                           "",
                           "/dev/nvme0n1",
                           storage_class::nvme});
    saved.hosts.push_back({{make_address("10.0.0.2")}, 0, host_state::refused, 0, 1, 2, false, "", "", "too small"});
    auto const read = parsed(saved.text());
    REQUIRE(read);
    CHECK(read->text() == saved.text());
    CHECK(read->deployed);
    CHECK(read->round_began == 5);
    CHECK(read->started == 6);
    CHECK(read->ended == 7);
    CHECK(read->damaged == 0);
    REQUIRE(read->hosts.size() == 2);
    auto const& first = read->hosts[0];
    CHECK(first.addresses == saved.hosts[0].addresses);
    CHECK(first.port == 6881);
    CHECK(first.state == host_state::verified);
    CHECK(first.bytes == 1LL << 40);
    CHECK(first.started == 8);
    CHECK(first.ended == 9);
    CHECK(first.announced);
    CHECK(first.id == saved.hosts[0].id);
    CHECK(first.key == saved.hosts[0].key);
    CHECK(first.device == "/dev/nvme0n1");
    CHECK(first.disk_class == storage_class::nvme);
    CHECK(read->hosts[1].device.empty());
    CHECK_FALSE(read->hosts[1].disk_class);
    CHECK(read->hosts[1].state == host_state::refused);
    CHECK(read->hosts[1].failure == "too small");
    CHECK_FALSE(read->hosts[1].announced);
}

TEST_CASE("saved fleet: a text that is not a record is refused") {
    CHECK(with_hosts(good).hosts.size() == 1);
    for (std::string const text : {"", "[]", "{", "{}", R"({"format":2,"hosts":[]})", R"({"format":1,"hosts":{}})"}) {
        auto const read = parsed(text);
        REQUIRE_FALSE(read);
        CHECK(read.error().message == "damaged, or of another version");
    }
}

TEST_CASE("saved fleet: a damaged host is left out and counted") {
    for (std::string const damaged :
         {"1", "{}", R"({"addresses":["10.0.0.2"],"port":6881,"state":"verified","started":1.1e104,"ended":2})",
          R"({"addresses":["10.0.0.2"],"port":65536,"state":"verified","started":1,"ended":2})",
          R"({"addresses":["nowhere"],"port":6881,"state":"verified","started":1,"ended":2})",
          R"({"addresses":["10.0.0.2"],"port":6881,"state":"fetching","started":1,"ended":2})"}) {
        auto const read = with_hosts(damaged + "," + good);
        CHECK(read.damaged == 1);
        REQUIRE(read.hosts.size() == 1);
        CHECK(read.hosts[0].addresses.front().to_string() == "10.0.0.1");
    }
    // A port that is not a number is unknown.
    auto const read = with_hosts(
        R"({"addresses":["10.0.0.2"],"port":18446744073709551615,"state":"verified","started":1,"ended":2})");
    REQUIRE(read.hosts.size() == 1);
    CHECK(read.hosts[0].port == 0);
}

TEST_CASE("saved fleet: a failure message and a device are limited and printable") {
    auto const text = R"("\u001b[2J)" + std::string(1000, 'x') + "\"";
    auto const read =
        with_hosts(R"({"addresses":["10.0.0.1"],"port":1,"state":"failed","started":1,"ended":2,"failure":)" + text +
                   R"(,"device":)" + text + R"(,"class":"tape"})");
    REQUIRE(read.hosts.size() == 1);
    CHECK(read.hosts[0].failure.size() == 300);
    CHECK(read.hosts[0].failure.find('\x1b') == std::string::npos);
    CHECK(read.hosts[0].device.size() == 300);
    CHECK(read.hosts[0].device.find('\x1b') == std::string::npos);
    CHECK_FALSE(read.hosts[0].disk_class);
}
