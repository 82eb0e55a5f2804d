#include "config/ip_network.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

std::string reason(std::string const& text) {
    auto const parsed = parse_ip_network(text);
    return parsed ? "" : parsed.error().message;
}

bool contains(std::string const& network, std::string const& address) {
    return parse_ip_network(network).value().contains(parse_ip_address(address).value());
}

} // namespace

TEST_CASE("ip_network: all addresses with the prefix are inside, and no others") {
    CHECK(contains("10.1.0.0/16", "10.1.0.0"));
    CHECK(contains("10.1.0.0/16", "10.1.255.255"));
    CHECK_FALSE(contains("10.1.0.0/16", "10.2.0.0"));
    CHECK_FALSE(contains("10.1.0.0/16", "10.0.255.255"));
    CHECK(contains("10.1.2.128/25", "10.1.2.200"));
    CHECK_FALSE(contains("10.1.2.128/25", "10.1.2.127"));
    CHECK(contains("10.1.2.3", "10.1.2.3"));
    CHECK_FALSE(contains("10.1.2.3", "10.1.2.2"));
    CHECK(contains("0.0.0.0/0", "255.255.255.255"));
    CHECK_FALSE(contains("0.0.0.0/0", "::"));
    CHECK(contains("2001:db8::/33", "2001:db8:7fff:ffff::1"));
    CHECK_FALSE(contains("2001:db8::/33", "2001:db8:8000::"));
    CHECK_FALSE(contains("::/0", "0.0.0.0"));
    CHECK(to_string(parse_ip_network("2001:db8::/33").value().last()) == "2001:db8:7fff:ffff:ffff:ffff:ffff:ffff");
    CHECK(to_string(parse_ip_network("10.1.2.128/25").value().last()) == "10.1.2.255");
}

TEST_CASE("ip_network: text reads back, and other text is refused") {
    for (std::string const text : {"10.1.0.0/16", "0.0.0.0/0", "10.1.2.3", "2001:db8::/32", "::/0", "fe80::1"}) {
        CHECK(to_string(parse_ip_network(text).value()) == text);
    }
    CHECK(parse_ip_network("10.1.2.3/32").value() == parse_ip_network("10.1.2.3").value());
    CHECK(reason("10.1.2.3/16") == "'10.1.2.3/16\' has bits after the prefix: expected 10.1.0.0/16");
    CHECK(reason("10.1.0.0/33") == "'10.1.0.0/33\' does not end with a prefix length, 0 to 32");
    CHECK(reason("::/129") == "'::/129\' does not end with a prefix length, 0 to 128");
    for (std::string const text : {"10.1.0.0/", "10.1.0.0/-1", "10.1.0.0/8x", "10.1.0.0/ 8"}) {
        CHECK_FALSE(reason(text).empty());
    }
    CHECK(reason("lab.example/16") == "'lab.example/16\' is not a network: expected 10.1.0.0/16 or 2001:db8::/32");
    CHECK_FALSE(reason("").empty());
}

TEST_CASE("ip_network: an empty list allows every address, any other list its networks and the machine itself") {
    auto const address = [](std::string const& text) { return parse_ip_address(text).value(); };
    std::vector<ip_network> const lab{parse_ip_network("10.1.0.0/16").value()};
    CHECK(is_allowed({}, address("192.0.2.1")));
    CHECK(is_allowed(lab, address("10.1.2.3")));
    CHECK_FALSE(is_allowed(lab, address("192.0.2.1")));
    CHECK_FALSE(is_allowed(lab, address("2001:db8::1")));
    CHECK(is_allowed(lab, address("127.0.0.9")));
    CHECK(is_allowed(lab, address("::1")));
}
