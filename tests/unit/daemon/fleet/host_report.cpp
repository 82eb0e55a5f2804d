#include "daemon/fleet/host_report.hpp"

#include <cstdint>
#include <limits>

#include <catch2/catch.hpp>

#include "support/cpu_limit.hpp"

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

auto const from = boost::asio::ip::make_address("192.0.2.7");

result<host_report> read(std::string const& text) {
    auto const query = query_string::parse("/report?" + text);
    REQUIRE(query);
    return read_host_report(*query, from);
}

std::string where(std::string const& announce) {
    auto const target = report_target_of(announce);
    return target ? authority(*target) + " " + target->path : "none";
}

} // namespace

TEST_CASE("host_report: a written report reads back unchanged", "[host_report]") {
    host_report sent;
    sent.host.port(7000);
    sent.age = 5s;
    sent.taken = 90s;
    sent.bytes = 1LL << 40;
    for (auto const outcome :
         {host_report::outcome_kind::verified, host_report::outcome_kind::durable, host_report::outcome_kind::failed}) {
        sent.outcome = outcome;
        sent.reason =
            outcome == host_report::outcome_kind::failed ? "write /dev/sda: 100% & more = Input/output error" : "";
        std::string const hash("\0\xff&=%+ 0123456789abc", 20);
        auto const text = to_query(sent, info_hash::from_bytes(hash).value());
        CHECK(text.find_first_of(" \"\r\n") == std::string::npos);
        auto const got = read(text);
        REQUIRE(got);
        CHECK(got->outcome == outcome);
        CHECK(got->host == boost::asio::ip::tcp::endpoint(from, 7000));
        CHECK(got->age == 5s);
        CHECK(got->taken == 90s);
        CHECK(got->bytes == 1LL << 40);
        CHECK((outcome != host_report::outcome_kind::failed || got->reason == sent.reason));
        CHECK(query_string::parse("/report?" + text)->find("info_hash") == hash);
    }
}

TEST_CASE("host_report: the id and the facts for the history", "[host_report]") {
    host_report sent;
    sent.facts = {"/dev/sda", storage_class::sata_ssd, "Model & = %", "S1", 1LL << 40, 1LL << 35, "a; b"};
    sent.receipt = "eJw+/w==";
    CHECK(read(to_query(sent, *info_hash::from_hex(std::string(40, 'b'))))->receipt == sent.receipt);
    identify(sent, "");
    CHECK(sent.id.size() == 16);
    auto other = sent;
    identify(other, "");
    CHECK(other.id != sent.id);
    info_hash const hash;
    auto got = read(to_query(sent, hash));
    REQUIRE(got);
    CHECK(got->facts == sent.facts);
    CHECK(got->id == sent.id);
    CHECK_FALSE(got->is_job);
    CHECK_FALSE(got->authenticated);
    identify(sent, "0123456789abcdef");
    got = read(to_query(sent, hash));
    CHECK(got->id == "0123456789abcdef");
    CHECK(got->is_job);
    got = read("state=verified&port=1"); // of an earlier version
    CHECK(got->facts == target_facts{});
    CHECK(got->id.empty());
    got = read("state=verified&port=1&id=%1B" + std::string(500, 'x') + "&model=%1B" + std::string(5000, 'y') +
               "&class=tape&disk_bytes=-1&image_bytes=99999999999999999999&authenticated=1");
    CHECK(got->id == "?" + std::string(63, 'x'));
    CHECK(got->facts.model == "?" + std::string(longest_fact - 1, 'y'));
    CHECK(got->facts.disk_bytes == 0);
    CHECK(got->facts.image_bytes == std::numeric_limits<std::int64_t>::max()); // the largest number is taken
    CHECK_FALSE(got->facts.cls);
    CHECK_FALSE(got->authenticated);
}

TEST_CASE("host_report: foreign input does no harm", "[host_report]") {
    CHECK_FALSE(read("port=1"));
    CHECK_FALSE(read("port=1&state=done"));
    CHECK_FALSE(read("state=verified"));
    CHECK_FALSE(read("state=verified&port=65536"));
    auto const odd = read("state=failed&port=1&age=99999999999999999999&taken=-1&reason=a%0Ab%1B[31m%C3%BC" +
                          std::string(5000, 'x'));
    REQUIRE(odd);
    CHECK(odd->reason.size() == 300);
    CHECK(odd->reason.starts_with("a?b?[31m??x"));
    for (auto const* const reason : {"", "&reason", "&reason="}) {
        auto const silent = read(std::string("state=failed&port=1") + reason);
        REQUIRE(silent);
        CHECK(silent->reason == "no reason given");
    }
    CHECK(odd->age <= 366 * 24h);
    CHECK(odd->taken == 0s);
}

TEST_CASE("host_report: earlier servers read a refusal as a failure", "[host_report]") {
    host_report sent;
    sent.outcome = host_report::outcome_kind::refused;
    sent.reason = "too small";
    auto const text = to_query(sent, info_hash::from_bytes(std::string(20, 'h')).value());
    CHECK(query_string::parse("/report?" + text)->find("state") == "failed");
    auto const got = read(text);
    REQUIRE(got);
    CHECK(got->outcome == host_report::outcome_kind::refused);
    CHECK(got->reason == "too small");
}

TEST_CASE("host_report: the start of a deployment") {
    host_report sent;
    sent.outcome = host_report::outcome_kind::started;
    sent.facts = {"/dev/sda", storage_class::hdd};
    auto const got = read(to_query(sent, info_hash{}));
    REQUIRE(got);
    CHECK(got->outcome == host_report::outcome_kind::started);
    CHECK(got->facts == sent.facts);
    CHECK(read("port=1&state=started&refused=1")->outcome == host_report::outcome_kind::started);
}

TEST_CASE("host_report: its URL is next to the announce URL", "[host_report]") {
    CHECK(where("http://192.0.2.1:6969/announce") == "192.0.2.1:6969 /report");
    CHECK(where("http://[2001:db8::1]:6969/a/announce?key=1") == "[2001:db8::1]:6969 /a/report");
    CHECK(where("http://[::1]/announce") == "[::1]:80 /report");
    CHECK(where("http://user:pass@t.example/announce") == "t.example:80 /report");
    for (std::string const none :
         {"https://t.example/announce", "udp://t.example:6969/announce", "http://t.example", "http://t.example/",
          "http://t.example/xannounce", "http://t.example/announce/x", "http:///announce", "http://[::1/announce",
          "http://[t.example]/announce", "http://[192.0.2.1]/announce", "http://t.example:/announce",
          "http://t.example:0/announce", "http://t.example:65536/announce", "http://t.example:80x/announce",
          "http://[::1]x/announce", ""}) {
        CHECK(where(none) == "none");
    }
}

TEST_CASE("host_report: an address becomes an endpoint, and a name stays a name", "[host_report]") {
    using boost::asio::ip::address;
    CHECK(std::holds_alternative<address>(report_target_of("http://192.0.2.1/announce")->host));
    CHECK(std::holds_alternative<address>(report_target_of("http://[2001:db8::1]/announce")->host));
    CHECK(std::holds_alternative<std::string>(report_target_of("http://192.0.2.1.example/announce")->host));
}

TEST_CASE("host_report: the URL for a peer is that for a tracker at the peer's endpoint", "[host_report]") {
    using boost::asio::ip::make_address;
    CHECK(report_target_of({make_address("192.0.2.1"), 6969}) == report_target_of("http://192.0.2.1:6969/announce"));
    CHECK(report_target_of({make_address("2001:db8::1"), 7}) == report_target_of("http://[2001:db8::1]:7/announce"));
}

TEST_CASE("host_report: a proof holds for one query, one challenge, one server and one secret", "[host_report]") {
    shared_secret const secret(std::string(16, 's'));
    host_report report;
    report.outcome = host_report::outcome_kind::failed;
    report.reason = "&challenge=x&code=y";
    auto const query = to_query(report, info_hash::from_bytes(std::string(20, 'h')).value());
    auto const proven = authenticated(query, secret, "12x34", "192.0.2.1");
    CHECK(proven_challenge(proven, secret, "192.0.2.1") == "12x34");
    CHECK(read(proven));
    auto forged = proven;
    forged.replace(forged.find("state=failed"), 12, "state=durable");
    CHECK_FALSE(proven_challenge(forged, secret, "192.0.2.1"));
    CHECK_FALSE(proven_challenge(proven, secret, "192.0.2.2")); // passed on by another server
    CHECK_FALSE(proven_challenge(proven, shared_secret(std::string(16, 'o')), "192.0.2.1"));
    CHECK_FALSE(proven_challenge(query, secret, "192.0.2.1"));
    CHECK_FALSE(proven_challenge("", secret, "192.0.2.1"));
    CHECK(proven_challenge(authenticated(query, secret, "1", "fe80::1%eth0"), secret, "fe80::1%2") == "1");
}

TEST_CASE("host_report: a report and its proof are read at little cost", "[host_report]") {
    shared_secret const secret(std::string(16, 's'));
    challenges const own;
    host_report report;
    report.outcome = host_report::outcome_kind::failed;
    report.reason = std::string(300, '%');
    report.facts = {"/dev/sda", storage_class::sata_ssd, "Model & = %", "S1", 1LL << 40, 1LL << 35, "a; b"};
    report.receipt = std::string(4000, 'A');
    auto const now = challenges::clock::now();
    auto const target =
        "/report?" + authenticated(to_query(report, info_hash::from_bytes(std::string(20, 'h')).value()), secret,
                                   own.make("192.0.2.7", now), "192.0.2.1");
    int valid = 0;
    auto const cost = test::cpu_seconds_of(5000, [&](int) {
        auto const query = query_string::parse(target);
        auto const challenge = proven_challenge(target.substr(target.find('?') + 1), secret, "192.0.2.1");
        valid += challenge && own.is_valid(*challenge, "192.0.2.7", now) && read_host_report(*query, from) ? 1 : 0;
    });
    CHECK(valid == 5000);
    CHECK(cost < 25e-6); // fleet's test has the other half of what a report costs
}
