#include "daemon/fleet/fleet.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "support/cpu_limit.hpp"
#include "support/endpoints.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using boost::asio::ip::make_address;
using Catch::Contains;
using event = announcement::event_kind;
using outcome = host_report::outcome_kind;

namespace {

constexpr std::int64_t mib = 1 << 20;
constexpr std::int64_t total = 1000 * mib;
using lines = std::vector<std::string>;

fleet_settings expect(int count) {
    fleet_settings made;
    made.expect = count;
    return made;
}

/// The record as it is read back from its text.
result<saved_fleet> read_back(saved_fleet const& record) {
    return saved_fleet::from_json(nlohmann::json::parse(record.text()));
}

void restore(fleet& subject, saved_fleet const& record, fleet::clock::time_point now,
             std::chrono::system_clock::time_point wall) {
    subject.begin_restore(std::make_shared<saved_fleet const>(read_back(record).value()), now, wall);
    while (subject.restore_some(1)) {
    }
}

fleet_settings expect(lines const& hosts) {
    fleet_settings made;
    made.expect_hosts = test::addresses(hosts);
    return made;
}

std::string id_of(std::string text) {
    text.resize(20, '.');
    return text;
}

/// A fleet whose hosts are 10.0.0.N, and a clock.
struct fixture {
    fleet subject;
    fleet::clock::time_point now{100h};
    static constexpr char const* key = "0A1B2C3D"; ///< of all announces

    explicit fixture(fleet_settings wanted, std::size_t limit = 100)
        : subject(total, std::move(wanted), limit) {}

    void announce(int host, std::int64_t left_mib, event what = event::none, std::string const& id = "-AA0000-",
                  int port = 6881) {
        announcement said;
        said.peer_id = id_of(id + std::to_string(host));
        said.peer = {make_address("10.0.0." + std::to_string(host)), static_cast<std::uint16_t>(port)};
        said.key = key;
        said.left = left_mib * mib;
        said.downloaded = total - said.left;
        said.event = what;
        subject.on_announce(said, 70s, now);
    }
    void report(int host, outcome what, std::string const& reason = "", std::chrono::seconds age = 0s,
                target_facts const& facts = {}) {
        host_report said;
        said.host = {make_address("10.0.0." + std::to_string(host)), 6881};
        said.outcome = what;
        said.reason = reason;
        said.age = age;
        said.taken = 40s;
        said.bytes = 7;
        said.facts = facts;
        subject.on_report(said, now);
    }
    static peer_status peer(int host, double fraction, std::string const& id = "-AA0000-") {
        peer_status made;
        made.address = "10.0.0." + std::to_string(host);
        made.port = 40000;
        made.incoming = true;
        for (auto const c : id_of(id + std::to_string(host))) {
            constexpr char digits[] = "0123456789abcdef";
            made.id += digits[static_cast<unsigned char>(c) >> 4];
            made.id += digits[c & 15];
        }
        made.fraction = fraction;
        made.seed = fraction == 1;
        return made;
    }
    /// As two observations of the same peers.
    void look(std::vector<peer_status> const& peers) {
        subject.on_peers(peers, now);
        subject.on_peers(peers, now);
    }
    lines said() {
        lines all;
        for (auto const& line : subject.take_lines()) {
            all.push_back(line.text);
        }
        return all;
    }
    lines wait(std::chrono::seconds time) {
        now += time;
        subject.on_tick(now);
        return said();
    }
};

} // namespace

TEST_CASE("fleet: hosts are counted as they complete, and the last one makes a deployment", "[fleet]") {
    fixture f(expect(2));
    f.announce(17, 1000, event::started);
    f.now += 20s;
    f.announce(18, 1000, event::started);
    CHECK(f.said().empty());
    f.now += 170s;
    f.announce(17, 0, event::completed);
    CHECK(f.said() == lines{"1/2 complete (10.0.0.17 after 3m10s, has all pieces); remaining: 10.0.0.18 0% at 0 B/s"});
    CHECK_FALSE(f.subject.take_completed());
    CHECK(f.subject.is_moving());
    f.announce(17, 0); // as it continues to seed
    f.now += 10s;
    f.announce(18, 0, event::completed);
    CHECK(f.said() ==
          lines{"2/2 complete (10.0.0.18 after 3m00s, has all pieces)", "deployment complete: 2/2 in 3m20s"});
    CHECK(f.subject.take_completed());
    CHECK_FALSE(f.subject.take_completed());
    f.announce(18, 0, event::stopped);
    f.announce(17, 0);
    CHECK(f.wait(3600s).empty());
    CHECK_FALSE(f.subject.is_moving());
    CHECK(f.subject.complete() == 2);
}

TEST_CASE("fleet: without an expected number, hosts are counted but a deployment never completes", "[fleet]") {
    fixture f({});
    f.announce(1, 10);
    f.announce(2, 10);
    f.announce(1, 0, event::completed);
    f.announce(2, 0, event::completed);
    CHECK(f.said() ==
          lines{"1 complete (10.0.0.1 after 0s, has all pieces)", "2 complete (10.0.0.2 after 0s, has all pieces)"});
    CHECK_FALSE(f.subject.take_completed());
}

TEST_CASE("fleet: a Seedbed target is complete only when it reports that its disk is", "[fleet]") {
    fixture f(expect(1));
    f.announce(1, 1000, event::started, "-SB0100-");
    f.now += 30s;
    f.announce(1, 0, event::completed, "-SB0100-");
    f.subject.on_peers({fixture::peer(1, 1, "-SB0100-")}, f.now);
    CHECK(f.said().empty());
    CHECK(f.subject.complete() == 0);
    CHECK(f.subject.stragglers(5, f.now) == "10.0.0.1 has all pieces, not verified yet");
    SECTION("verified") {
        f.now += 10s;
        f.report(1, outcome::verified, "", 2s);
        CHECK(f.said() == lines{"1/1 complete (10.0.0.1 after 38s, verified)", "deployment complete: 1/1 in 38s"});
        f.report(1, outcome::verified, "", 62s); // repeated
        CHECK(f.said().empty());
        CHECK(f.subject.complete() == 1);
    }
    SECTION("durable") {
        f.report(1, outcome::durable);
        CHECK(f.said().at(0) == "1/1 complete (10.0.0.1 after 30s, flushed, not verified)");
    }
    SECTION("failed: named, and never counted") {
        f.report(1, outcome::failed, "write /dev/sda: EIO");
        f.report(1, outcome::failed, "write /dev/sda: EIO", 60s);
        f.announce(1, 0, event::stopped, "-SB0100-");
        CHECK(f.said() == lines{"10.0.0.1 failed: write /dev/sda: EIO"});
        CHECK(f.subject.stragglers(5, f.now) == "10.0.0.1 failed: write /dev/sda: EIO");
        CHECK(f.subject.complete() == 0);
        f.announce(1, 1000, event::started, "-SB0100-"); // and may try again
        f.report(1, outcome::verified);
        CHECK(f.subject.complete() == 1);
    }
    SECTION("stopped before that") {
        f.announce(1, 0, event::stopped, "-SB0100-");
        CHECK(f.said() == lines{"10.0.0.1 stopped before its image was verified"});
        CHECK(f.subject.complete() == 0);
    }
}

TEST_CASE("fleet: a complete target that fails is no longer complete", "[fleet]") {
    fixture f(expect(2));
    f.announce(1, 5, event::started, "-SB0100-");
    f.report(1, outcome::verified);
    CHECK(f.subject.complete() == 1);
    f.report(1, outcome::failed, "read error");
    CHECK(f.subject.complete() == 0);
    CHECK_THAT(f.said().at(1), Contains("failed: read error"));
}

TEST_CASE("fleet: a target that already had everything counts by its report; a seeder does not", "[fleet]") {
    fixture f(expect(3));
    f.announce(1, 0, event::started, "-SB0100-");
    f.announce(2, 0, event::started);
    f.subject.on_peers({fixture::peer(3, 1)}, f.now);
    CHECK(f.subject.complete() == 0);
    CHECK(f.said().empty());
    CHECK(f.subject.stragglers(5, f.now) == "3 not seen");
    f.report(1, outcome::verified);
    CHECK(f.said() == lines{"1/3 complete (10.0.0.1 after 40s, verified)"});
}

TEST_CASE("fleet: a repeated report informs a daemon that was started since", "[fleet]") {
    fixture f(expect(1));
    f.report(1, outcome::verified, "", 600s);
    CHECK(f.said() == lines{"1/1 complete (10.0.0.1 after 40s, verified)", "deployment complete: 1/1 in 40s"});
}

TEST_CASE("fleet: expected addresses count; others are reported as not expected", "[fleet]") {
    fixture f(expect(lines{"10.0.0.1", "10.0.0.2"}));
    f.announce(1, 1000);
    f.announce(3, 500);
    CHECK(f.subject.stragglers(5, f.now) == "10.0.0.1 0% at 0 B/s, 10.0.0.2 not seen");
    f.announce(3, 0, event::completed);
    CHECK(f.said() == lines{"0/2 complete (10.0.0.3 after 0s, has all pieces; not expected)"});
    f.announce(2, 0); // it was complete before the first observation
    f.announce(1, 0, event::completed);
    CHECK(f.said().back() == "deployment complete: 2/2 in 0s");
}

TEST_CASE("fleet: progress and rates are taken from announces and from peers", "[fleet]") {
    fixture f(expect(3));
    f.announce(1, 1000);
    f.announce(2, 1000);
    f.now += 30s;
    f.announce(1, 700);
    f.subject.on_peers({fixture::peer(2, 0.5)}, f.now);
    CHECK(f.subject.stragglers(5, f.now) == "10.0.0.1 30% at 10 MiB/s, 10.0.0.2 50% at 17 MiB/s, 1 not seen");
    f.now += 5s;
    f.subject.on_peers({}, f.now);
    f.now += 12s;
    CHECK_THAT(f.subject.stragglers(5, f.now), Contains("10.0.0.2 50%, not connected for 12s"));
    CHECK(f.subject.stragglers(1, f.now) == "10.0.0.1 30% at 10 MiB/s, 1 more, 1 not seen");
    CHECK(f.said().empty());
}

TEST_CASE("fleet: a slow host has a rate between two pieces, and before the first one", "[fleet]") {
    fixture f(expect(1));
    f.announce(1, 1000);
    auto const look = [&f](double fraction, std::int64_t sent) {
        auto peer = fixture::peer(1, fraction);
        peer.upload_rate = sent;
        f.now += 5s;
        f.subject.on_peers({peer}, f.now);
        return f.subject.status(f.now, {}).hosts.at(0).rate;
    };
    CHECK(look(0, 2 * mib) == 2.0 * mib);
    CHECK(look(0.1, 0) == 10.0 * mib); // 100 MiB in ten seconds, from other peers
    CHECK(look(0.1, 3 * mib) == 10.0 * mib);
    CHECK(look(0.1, 0) == 10.0 * mib);
    for (int i = 0; i < 4; ++i) {
        static_cast<void>(look(0.1, 0));
    }
    CHECK(look(0.1, 0) == 0); // it hangs
    CHECK(look(0.1, mib) == 1.0 * mib);
}

TEST_CASE("fleet: stragglers are named once a minute while something moves", "[fleet]") {
    fixture f(expect(30));
    f.announce(1, 1000);
    f.announce(2, 1000);
    f.announce(1, 0, event::completed);
    CHECK(f.said().size() == 1);
    CHECK(f.wait(59s).empty());
    f.announce(2, 390);
    CHECK(f.wait(1s) == lines{"1/30 complete; remaining: 10.0.0.2 61% at 10 MiB/s, 28 not seen"});
    CHECK(f.wait(60s).empty()); // nothing has moved
    f.announce(2, 380);
    CHECK(f.wait(1s).size() == 1);
}

TEST_CASE("fleet: a host that stops or vanishes half-way is named, not counted, and may return", "[fleet]") {
    fixture f(expect(2));
    f.announce(1, 1000, event::started);
    f.announce(2, 1000, event::started);
    f.now += 10s;
    f.announce(1, 600, event::stopped);
    CHECK(f.said() == lines{"10.0.0.1 stopped: 40% at 40 MiB/s"});
    CHECK(f.wait(71s) ==
          lines{"lost contact with 10.0.0.2 for 1m21s: 0% at 0 B/s",
                "0/2 complete; remaining: 10.0.0.2 0%, stopped 0s ago, 10.0.0.1 40%, stopped 1m11s ago"});
    CHECK_FALSE(f.subject.is_moving());
    f.announce(1, 600, event::started, "-AA0000-new");       // started again: another id
    f.announce(2, 900, event::started, "-AA0000-new", 7000); // and another port
    CHECK(f.subject.is_moving());
    f.announce(1, 0, event::completed, "-AA0000-new");
    f.announce(2, 0, event::completed, "-AA0000-new", 7000);
    CHECK(f.said().back() == "deployment complete: 2/2 in 1m21s");
    CHECK(f.subject.take_completed());
}

TEST_CASE("fleet: a connected peer is not lost, even if it rarely announces", "[fleet]") {
    fixture f(expect(1));
    f.announce(1, 1000);
    for (int i = 0; i < 50; ++i) {
        f.now += 3s;
        f.subject.on_peers({fixture::peer(1, 0.1)}, f.now);
        f.subject.on_tick(f.now);
    }
    for (auto const& line : f.said()) {
        CHECK_THAT(line, !Contains("gone"));
    }
}

TEST_CASE("fleet: several hosts at one address, and one host at several", "[fleet]") {
    fixture f(expect(3));
    f.announce(1, 10, event::started, "-AA0000-a", 6881);
    f.announce(1, 10, event::started, "-AA0000-b", 6882);
    announcement six;
    six.peer_id = id_of("-AA0000-c2");
    six.key = fixture::key;
    six.peer = {make_address("fd00::2"), 6881};
    six.left = 10 * mib;
    f.subject.on_announce(six, 70s, f.now);
    f.announce(2, 10, event::started, "-AA0000-c");
    f.announce(1, 0, event::completed, "-AA0000-b", 6882);
    f.announce(2, 0, event::completed, "-AA0000-c");
    auto const said = f.said();
    CHECK(said.at(0) == "0/3 complete (10.0.0.1:6882 after 0s, has all pieces)");
    CHECK(said.at(1) == "1/3 complete (fd00::2 after 0s, has all pieces)");
    // If two peers share an address, only the id identifies them.
    f.subject.on_peers({fixture::peer(1, 1, "-AA0000-z")}, f.now);
    CHECK(f.subject.complete() == 1);
    f.subject.on_peers({fixture::peer(1, 1, "-AA0000-a")}, f.now);
    CHECK(f.subject.complete() == 2);
}

TEST_CASE("fleet: a peer id from another address completes, fails and stops no host", "[fleet]") {
    fixture f(expect(lines{"10.0.0.1"}));
    std::string const id = "-SB0100-abcdef-";
    f.announce(1, 1000, event::started, id);
    auto const forge = [&](std::int64_t left_mib, event what) {
        announcement said;
        said.peer_id = id_of(id + "1");
        said.peer = {make_address("10.0.0.66"), 6881};
        said.left = left_mib * mib;
        said.event = what;
        f.subject.on_announce(said, 70s, f.now);
    };
    forge(1000, event::started);
    forge(0, event::completed);
    f.report(66, outcome::verified);
    auto seed = fixture::peer(1, 1, id);
    seed.address = "10.0.0.66";
    f.subject.on_peers({seed}, f.now);
    forge(500, event::stopped);
    f.report(66, outcome::failed, "forged");
    CHECK(f.said().empty());
    CHECK(f.subject.complete() == 0);
    CHECK(f.subject.stragglers(5, f.now) == "10.0.0.1 0% at 0 B/s");
    f.report(1, outcome::verified);
    CHECK(f.said().back() == "deployment complete: 1/1 in 0s");
}

TEST_CASE("fleet: an address counts once, however many clients it has", "[fleet]") {
    fixture f(expect(3));
    for (int port : {6881, 6882, 6883}) {
        f.announce(1, 1000, event::started, "-AA0000-" + std::to_string(port) + "-", port);
    }
    CHECK(f.subject.status(f.now, {}).missing == 2);
    f.announce(1, 0, event::completed, "-AA0000-6881-", 6881);
    CHECK(f.subject.complete() == 0); // the others are under way
    f.announce(1, 0, event::completed, "-AA0000-6882-", 6882);
    f.announce(1, 0, event::completed, "-AA0000-6883-", 6883);
    CHECK(f.subject.complete() == 1);
    CHECK_FALSE(f.subject.take_completed());
}

TEST_CASE("fleet: forged reports cost little and push no host out", "[fleet]") {
    fixture f(expect(lines{"10.0.0.1", "10.0.0.2"}), 4096);
    f.announce(1, 1000, event::started);
    f.announce(2, 1000, event::started);
    f.announce(1, 0, event::completed);
    f.said();
    std::size_t written = 0;
    auto const cost = test::cpu_seconds_of(5000, [&](int i) {
        host_report forged;
        forged.host = {make_address("10." + std::to_string(1 + i / 250) + ".0." + std::to_string(1 + i % 250)), 6881};
        forged.outcome = i % 2 == 0 ? outcome::verified : outcome::failed;
        forged.reason = "forged";
        f.now += 1ms;
        f.subject.on_report(forged, f.now);
        written += f.said().size();
    });
    CHECK(cost < 25e-6); // host_report's test has the other half of what a report costs
    CHECK(written < 600);
    CHECK(f.subject.complete() == 1);
    CHECK(f.subject.stragglers(5, f.now) == "10.0.0.2 0% at 0 B/s");
    f.announce(2, 0, event::completed);
    CHECK(f.subject.take_completed());
}

TEST_CASE("fleet: forged reports from many ports of one address take few places", "[fleet]") {
    fixture f(expect(3), 100);
    f.announce(1, 1000, event::started);
    for (int port = 1; port < 2000; ++port) {
        host_report forged;
        forged.host = {make_address("10.0.0.66"), static_cast<std::uint16_t>(port)};
        forged.outcome = port % 2 == 0 ? outcome::verified : outcome::failed;
        f.subject.on_report(forged, f.now);
    }
    CHECK(f.subject.status(f.now, {}).hosts.size() <= 1 + host_table::most_at_address);
    CHECK_THAT(f.subject.stragglers(50, f.now), Contains("10.0.0.1 0%"));
}

TEST_CASE("fleet: a host that changes its state constantly is not logged each time", "[fleet]") {
    fixture f(expect(2));
    f.announce(1, 1000, event::started, "-SB0100-");
    for (int i = 0; i < 500; ++i) {
        f.report(1, outcome::verified);
        f.report(1, outcome::failed, "forged");
    }
    CHECK(f.said().size() < 20);
    f.now += 60s;
    f.report(1, outcome::verified); // as it repeats it
    CHECK(f.subject.complete() == 1);
}

TEST_CASE("fleet: the lines that strangers cause are limited, and the number left out is logged", "[fleet]") {
    fixture f({}, 5000);
    for (int i = 0; i < 1000; ++i) {
        f.now += 1ms;
        host_report forged;
        forged.host = {make_address("10.1." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250)), 6881};
        forged.reason = "forged";
        f.subject.on_report(forged, f.now);
    }
    auto const said = f.said();
    CHECK(said.size() < 300);
    CHECK(f.subject.is_moving());
    auto const later = f.wait(10s);
    REQUIRE(later.size() == 1);
    CHECK(later[0] == "left out " + std::to_string(1000 - said.size()) + " lines about failed hosts: too many at once");
    CHECK_FALSE(f.subject.is_moving());
}

TEST_CASE("fleet: peers count without a tracker, Seedbed's by their pieces", "[fleet]") {
    fixture f(expect(2));
    f.subject.on_peers({fixture::peer(1, 0.2, "-SB0100-"), fixture::peer(2, 0.3)}, f.now);
    CHECK_FALSE(f.subject.is_moving()); // a complete peer looks like this before it reports
    f.look({fixture::peer(1, 0.2, "-SB0100-"), fixture::peer(2, 0.3)});
    CHECK(f.subject.is_moving());
    f.now += 3s;
    f.subject.on_peers({fixture::peer(1, 1, "-SB0100-"), fixture::peer(2, 1)}, f.now);
    CHECK(f.said().back() == "deployment complete: 2/2 in 3s");
}

TEST_CASE("fleet: a host seen over IPv4 and IPv6 is not counted twice", "[fleet]") {
    fixture f(expect(2));
    f.announce(1, 1000, event::started, "-SB0100-abcdef-");
    auto const six = [](double fraction, std::string const& id) {
        auto made = fixture::peer(1, fraction, id);
        made.address = "fd00::1";
        return made;
    };
    f.look({six(0.5, "-SB0100-abcdef+")}); // the same process, or a host that claims to be
    CHECK(f.subject.stragglers(5, f.now) == "10.0.0.1 0% at 0 B/s, 1 not seen");
    announcement said;
    said.peer_id = id_of("-SB0100-abcdef-1");
    said.key = fixture::key;
    said.peer = {make_address("fd00::1"), 6881};
    said.left = 1000 * mib;
    f.subject.on_announce(said, 70s, f.now);
    f.look({six(0.5, "-SB0100-abcdef+")}); // it is
    CHECK(f.subject.stragglers(5, f.now) == "10.0.0.1 50% at 0 B/s, 1 not seen");
    auto other = six(0.5, "-AA0000-"); // the owner is unknown
    other.address = "fd00::2";
    f.look({other});
    CHECK_THAT(f.subject.stragglers(5, f.now), Contains("1 not seen"));
    f.report(1, outcome::verified);
    CHECK(f.subject.complete() == 1);
}

TEST_CASE("fleet: a Seedbed peer without a tracker can report to the server if that accepts reports", "[fleet]") {
    fixture f(expect(1));
    f.subject.set_takes_reports(true);
    f.look({fixture::peer(1, 0.2, "-SB0100-")});
    f.now += 3s;
    f.subject.on_peers({fixture::peer(1, 1, "-SB0100-")}, f.now);
    CHECK(f.subject.complete() == 0);
    f.now += 300s; // it verifies
    CHECK(f.wait(1s) == lines{"0/1 complete; remaining: 10.0.0.1 has all pieces, not verified yet"});
    f.report(1, outcome::verified);
    CHECK(f.subject.complete() == 1);
}

TEST_CASE("fleet: an old observation of a peer does not override its report; a new run does", "[fleet]") {
    fixture f(expect(2));
    f.announce(1, 10);
    f.announce(1, 0, event::completed);
    f.look({fixture::peer(1, 0.99)});
    f.look({fixture::peer(1, 0.99, "-AA0000-new")}); // libtorrent has another id on each connection
    CHECK(f.subject.complete() == 1);
    f.now += 31s;
    f.look({fixture::peer(1, 0.01, "-AA0000-newer")});
    CHECK(f.subject.complete() == 0);
    CHECK(f.said().back() == "10.0.0.1 has restarted");
}

TEST_CASE("fleet: after a deployment, the first host that starts begins a new round at 0", "[fleet]") {
    fixture f(expect(2));
    for (int host : {1, 2}) {
        f.announce(host, 1000, event::started, "-SB0100-");
        f.report(host, outcome::verified);
    }
    CHECK(f.subject.take_completed());
    f.said();
    f.now += 24h;
    f.announce(1, 1000, event::started, "-SB0100-new");
    CHECK(f.said() == lines{"new round: 10.0.0.1 has started"});
    CHECK(f.subject.complete() == 0);
    f.report(2, outcome::verified, "", 86400s); // the other host repeats yesterday's report
    CHECK(f.subject.complete() == 0);
    f.now += 10s;
    f.report(1, outcome::verified);
    CHECK_FALSE(f.subject.take_completed());
    f.announce(2, 1000, event::started, "-SB0100-new");
    f.now += 10s;
    f.report(2, outcome::verified);
    CHECK(f.subject.take_completed());
    CHECK(f.said().back() == "deployment complete: 2/2 in 20s");
}

TEST_CASE("fleet: within a round, a host that starts again is incomplete again", "[fleet]") {
    fixture f(expect(2));
    f.announce(1, 10);
    f.announce(1, 0, event::completed);
    CHECK(f.subject.complete() == 1);
    f.announce(1, 10, event::started, "-AA0000-new");
    CHECK(f.subject.complete() == 0);
}

TEST_CASE("fleet: the expected hosts can change during a round", "[fleet]") {
    fixture f(expect(3));
    f.announce(1, 10);
    f.announce(1, 0, event::completed);
    f.subject.set_settings(expect(3), 100, f.now);
    CHECK_FALSE(f.subject.take_completed());
    f.subject.set_settings(expect(1), 100, f.now);
    CHECK(f.subject.take_completed());
    CHECK(f.said().back() == "deployment complete: 1/1 in 0s");
}

TEST_CASE("fleet: a change of the hook alone does not run it again", "[fleet]") {
    fixture f(expect(1));
    f.announce(1, 10);
    f.announce(1, 0, event::completed);
    CHECK(f.subject.take_completed());
    auto other = expect(1);
    other.on_complete = {"/bin/true"};
    f.subject.set_settings(other, 100, f.now);
    CHECK_FALSE(f.subject.take_completed());
}

TEST_CASE("fleet: the number of hosts is limited, and complete hosts are kept", "[fleet]") {
    fixture f(expect(50), 3);
    f.announce(1, 10);
    f.announce(1, 0, event::completed);
    for (int host = 2; host < 20; ++host) {
        f.now += 1s;
        f.announce(host, 10);
    }
    CHECK(f.subject.complete() == 1);
    CHECK(f.subject.stragglers(5, f.now) == "10.0.0.18 99% at 0 B/s, 10.0.0.19 99% at 0 B/s, 47 not seen");
}

TEST_CASE("fleet: many remaining hosts are named at most once a second, the last ones each time", "[fleet]") {
    fixture f(expect(200), 200);
    for (int host = 1; host <= 200; ++host) {
        f.announce(host, 1000, event::started);
    }
    auto const complete = [&f](int first, int last) {
        f.said();
        for (int host = first; host <= last; ++host) {
            f.announce(host, 0, event::completed);
        }
        auto const all = f.said();
        CHECK(all.size() == static_cast<std::size_t>(last - first + 1));
        return std::ranges::count_if(
            all, [](std::string const& each) { return each.find("; remaining: ") != std::string::npos; });
    };
    f.now += 1s;
    CHECK(complete(1, 179) == 0);
    CHECK(complete(180, 189) == 1); // 20 to 11 remain
    f.now += 1s;
    CHECK(complete(190, 199) == 10);
}

TEST_CASE("fleet: a refused host is named with its reason", "[fleet]") {
    fixture f(expect(lines{"10.0.0.1"}));
    f.report(1, outcome::refused, "/dev/sda: too small");
    CHECK(f.said() == lines{"10.0.0.1 refused: /dev/sda: too small"});
    CHECK(f.subject.stragglers(5, f.now) == "10.0.0.1 refused: /dev/sda: too small");
    CHECK(f.subject.status(f.now, {}).hosts.at(0).state == host_state::refused);
    f.report(1, outcome::refused, "/dev/sda: too small", 60s); // repeated
    CHECK(f.said().empty());
    f.report(1, outcome::verified);
    CHECK(f.subject.complete() == 1);
}

TEST_CASE("fleet: a report names the disk of its host", "[fleet]") {
    fixture f(expect(3));
    f.announce(1, 1000, event::started);
    f.report(1, outcome::verified, "", 0s, {"/dev/nvme0n1", storage_class::nvme});
    f.report(2, outcome::failed, "write /dev/sda", 0s, {"/dev/sda"});
    auto const told = f.subject.status(f.now, {});
    CHECK(told.hosts.at(0).device == "/dev/nvme0n1");
    CHECK(told.hosts.at(0).disk_class == storage_class::nvme);
    CHECK(told.hosts.at(1).device == "/dev/sda");
    CHECK_FALSE(told.hosts.at(1).disk_class);
    auto const document = nlohmann::json::parse(f.subject.document("sda1", {}, f.now, {}));
    CHECK(document["hosts"][0]["device"] == "/dev/nvme0n1");
    CHECK(document["hosts"][0]["class"] == "nvme");
    CHECK(document["hosts"][1]["class"].is_null());
    f.report(2, outcome::verified); // of an earlier version, to another disk
    CHECK(f.subject.status(f.now, {}).hosts.at(1).device.empty());
    f.now += 60s;
    f.announce(2, 1000, event::started);
    f.report(2, outcome::verified, "", 61s, {"/dev/sdz"}); // of the earlier run
    CHECK(f.subject.status(f.now, {}).hosts.at(1).device.empty());
}

TEST_CASE("fleet: a report of a start names the disk, and changes nothing else", "[fleet]") {
    fixture f(expect(2));
    f.report(1, outcome::started, "", 0s, {"/dev/sda", storage_class::hdd}); // before its announce
    CHECK(f.subject.status(f.now, {}).hosts.empty());
    f.announce(1, 1000, event::started);
    auto const host = [&f] { return f.subject.status(f.now, {}).hosts.at(0); };
    CHECK(host().state == host_state::fetching);
    CHECK(host().device == "/dev/sda");
    CHECK(host().disk_class == storage_class::hdd);
    f.now += 1s;
    f.announce(1, 500);
    f.report(1, outcome::started, "", 60s, {"/dev/sdb"}); // repeated
    CHECK(host().state == host_state::fetching);
    CHECK(host().device == "/dev/sdb");
    f.report(1, outcome::verified, "", 0s, {"/dev/sdb"});
    f.report(1, outcome::started, "", 60s, {"/dev/sdb"}); // overtaken
    CHECK(host().state == host_state::verified);
    CHECK(f.said() == lines{"1/2 complete (10.0.0.1 after 1s, verified); remaining: 1 not seen"});
}

TEST_CASE("fleet: a record restores the round after a restart", "[fleet]") {
    auto const wall = std::chrono::system_clock::from_time_t(1'800'000'000);
    fixture before(expect(4));
    before.announce(1, 1000, event::started, "-SB0100-abcdef-");
    before.announce(2, 1000, event::started);
    before.announce(3, 1000, event::started);
    CHECK_FALSE(before.subject.take_changed());
    before.now += 60s;
    before.report(1, outcome::verified, "", 0s, {"/dev/sdb", storage_class::hdd});
    CHECK(before.subject.take_changed());
    CHECK_FALSE(before.subject.take_changed());
    before.report(4, outcome::refused, "too small");
    before.announce(2, 0, event::completed);
    before.report(5, outcome::failed, "write \xff");
    auto const record = before.subject.record(before.now, wall);

    fixture after(expect(4));
    after.now = fleet::clock::time_point(10s); // another boot of the machine
    restore(after.subject, record, after.now, wall + 30s);
    auto const told = after.subject.status(after.now, wall + 30s);
    CHECK(told.complete == 2);
    CHECK(told.missing == 0); // 1, 2, 4 and 5
    CHECK(told.started == wall - 60s);
    REQUIRE(told.hosts.size() == 4);
    CHECK(told.hosts[0].state == host_state::verified);
    CHECK(told.hosts[0].completed == wall);
    CHECK(told.hosts[0].seconds == 60);
    CHECK(told.hosts[0].fetched == 7);
    CHECK(told.hosts[0].device == "/dev/sdb");
    CHECK(told.hosts[0].disk_class == storage_class::hdd);
    CHECK(told.hosts[1].state == host_state::pieces);
    CHECK(told.hosts[2].state == host_state::refused);
    CHECK(told.hosts[3].state == host_state::failed);
    CHECK(after.said().empty());
    after.report(1, outcome::verified, "", 90s); // it repeats its report
    after.announce(1, 0, event::none, "-SB0100-abcdef-");
    CHECK(after.said().empty());
    after.report(3, outcome::verified);
    after.report(4, outcome::verified);
    CHECK(after.said().back() == "deployment complete: 4/4 in 1m30s");
    CHECK(after.subject.take_completed());
}

TEST_CASE("fleet: a deployment that was complete before a restart is not completed again", "[fleet]") {
    auto const wall = std::chrono::system_clock::from_time_t(1'800'000'000);
    fixture before(expect(1));
    before.announce(1, 1000, event::started, "-SB0100-");
    before.report(1, outcome::verified);
    fixture after(expect(1));
    after.now += 24h;
    restore(after.subject, before.subject.record(before.now, wall), after.now, wall + 24h);
    CHECK_FALSE(after.subject.take_completed());
    after.report(1, outcome::verified, "", 86400s);
    CHECK_FALSE(after.subject.take_completed());
    CHECK(after.said().empty());
    after.announce(1, 1000, event::started, "-SB0100-new");
    CHECK(after.said() == lines{"new round: 10.0.0.1 has started"});
    fixture later(expect(1));
    later.now += 48h;
    restore(later.subject, after.subject.record(after.now, wall + 24h), later.now, wall + 48h);
    later.report(1, outcome::verified, "", std::chrono::seconds(48h)); // of the first round
    CHECK(later.subject.complete() == 0);
    fixture other(expect(2)); // the configuration was changed in between
    restore(other.subject, before.subject.record(before.now, wall), other.now, wall);
    other.report(2, outcome::verified);
    CHECK(other.subject.take_completed());
}

TEST_CASE("fleet: news that arrives before the record is read takes precedence over it", "[fleet]") {
    auto const wall = std::chrono::system_clock::from_time_t(1'800'000'000);
    fixture before(expect(2));
    before.report(1, outcome::verified);
    before.report(2, outcome::verified);
    fixture after(expect(2));
    after.announce(1, 1000, event::started, "-SB0100-new");
    restore(after.subject, before.subject.record(before.now, wall), after.now, wall);
    CHECK(after.subject.complete() == 1);
    CHECK_FALSE(after.subject.take_completed());
}

TEST_CASE("fleet: a host that is heard from while a record is restored counts once, and nothing is complete yet",
          "[fleet]") {
    auto const wall = std::chrono::system_clock::from_time_t(1'800'000'000);
    fixture before(expect(2));
    before.report(1, outcome::verified);
    before.report(2, outcome::verified);
    fixture after(expect(2));
    after.subject.begin_restore(std::make_shared<saved_fleet const>(before.subject.record(before.now, wall)), after.now,
                                wall);
    CHECK(after.subject.restore_some(1));
    CHECK(after.subject.complete() == 1);
    after.report(2, outcome::verified); // restored next
    CHECK(after.subject.complete() == 2);
    CHECK_FALSE(after.subject.take_completed());
    CHECK_FALSE(after.subject.restore_some(1));
    CHECK_FALSE(after.subject.is_restoring());
    CHECK(after.subject.status(after.now, wall).hosts.size() == 2);
    CHECK_FALSE(after.subject.take_completed()); // it was complete before
}

TEST_CASE("fleet: if only reports count, pieces complete no host", "[fleet]") {
    fixture f(expect(1));
    f.subject.set_reports_only(true);
    f.announce(1, 1000, event::started);
    f.announce(1, 0, event::completed);
    f.subject.on_peers({fixture::peer(1, 1)}, f.now);
    CHECK(f.subject.complete() == 0);
    CHECK(f.subject.stragglers(5, f.now) == "10.0.0.1 has all pieces, not verified yet");
    f.report(1, outcome::durable);
    CHECK(f.subject.take_completed());
}

TEST_CASE("fleet: if only reports count, only a report of a later deployment begins a round", "[fleet]") {
    fixture f(expect(1));
    f.subject.set_reports_only(true);
    f.announce(1, 1000, event::started);
    f.report(1, outcome::verified);
    REQUIRE(f.subject.take_completed());
    f.now += 10s;
    f.announce(2, 1000, event::started); // by anybody
    CHECK(f.subject.complete() == 1);
    f.report(1, outcome::verified); // again, of the same deployment
    CHECK_FALSE(f.subject.take_completed());
    f.now += 1h;
    f.report(1, outcome::verified);
    CHECK(f.subject.complete() == 1);
    CHECK(f.subject.take_completed());
}

TEST_CASE("fleet: the document describes the round", "[fleet]") {
    fixture f(expect(lines{"10.0.0.1"}));
    f.announce(1, 1000, event::started, "-SB0100-");
    f.announce(2, 1000, event::started);
    f.now += 90s;
    f.report(1, outcome::verified);
    f.report(2, outcome::failed, "no \xff");
    f.now += 1s;
    auto const wall = std::chrono::system_clock::from_time_t(1'800'000'091);
    auto const document = nlohmann::json::parse(f.subject.document("sda1", info_hash{}, f.now, wall));
    CHECK(document["image"] == "sda1");
    CHECK(document["info_hash"] == std::string(40, '0'));
    CHECK(document["expected"] == 1);
    CHECK(document["complete"] == 1);
    CHECK(document["started"] == "2027-01-15T08:00:00Z");
    CHECK(document["duration"] == 90.0);
    REQUIRE(document["hosts"].size() == 2);
    auto const& host = document["hosts"][0];
    CHECK(host["address"] == "10.0.0.1");
    CHECK(host["port"] == 6881);
    CHECK(host["state"] == "verified");
    CHECK(host["completed_at"] == "2027-01-15T08:01:30Z");
    CHECK(host["seconds"] == 90.0);
    CHECK(host["bytes"] == 7);
    CHECK(document["hosts"][1]["state"] == "failed");
    CHECK(document["hosts"][1]["completed_at"].is_null());
}

TEST_CASE("fleet: the status shows the progress of each host", "[fleet]") {
    fixture f(expect(lines{"10.0.0.1", "10.0.0.2", "10.0.0.9"}));
    f.announce(1, 1000, event::started, "-SB0100-");
    f.announce(2, 1000, event::started, "-AA0000-a", 6881);
    f.announce(2, 1000, event::started, "-AA0000-b", 6882);
    f.announce(3, 1000, event::started);
    f.announce(5, 0); // a seeder
    f.now += 100s;
    f.report(1, outcome::verified);
    f.announce(2, 500, event::none, "-AA0000-a", 6881);
    f.announce(3, 250, event::stopped);
    f.report(4, outcome::failed, "a guard");
    f.now += 10s;
    auto const wall = std::chrono::system_clock::from_time_t(1'800'000'110);
    auto const told = f.subject.status(f.now, wall);
    CHECK(told.expected == 3U);
    CHECK(told.complete == 1);
    CHECK_FALSE(told.deployed);
    CHECK(told.started == std::chrono::system_clock::from_time_t(1'800'000'000));
    CHECK(told.seconds == 110);
    CHECK(told.not_seen == lines{"10.0.0.9"});
    CHECK(told.missing == 1);
    REQUIRE(told.hosts.size() == 5);

    auto const& done = told.hosts[0];
    CHECK(done.name == "10.0.0.1");
    CHECK(done.state == host_state::verified);
    CHECK(done.expected);
    CHECK(done.fraction == 1.0);
    CHECK(done.completed == std::chrono::system_clock::from_time_t(1'800'000'100));
    CHECK(done.seen == done.completed);
    CHECK(done.seconds == 100);
    auto const& moving = told.hosts[1];
    CHECK(moving.name == "10.0.0.2:6881"); // another host has this address
    CHECK(moving.address == "10.0.0.2");
    CHECK(moving.state == host_state::fetching);
    CHECK(moving.fraction == 0.5);
    CHECK(moving.rate == 5.0 * mib);
    CHECK(moving.fetched == 500 * mib);
    CHECK_FALSE(moving.completed);
    CHECK(moving.seconds == 110);
    CHECK(told.hosts[2].name == "10.0.0.2:6882");
    auto const& stopped = told.hosts[3];
    CHECK(stopped.state == host_state::stopped);
    CHECK_FALSE(stopped.expected);
    CHECK(stopped.stopped_seconds == 10.0);
    CHECK(stopped.rate == 0);
    auto const& failed = told.hosts[4];
    CHECK(failed.state == host_state::failed);
    CHECK(failed.failure == "a guard");
    CHECK_FALSE(failed.fraction); // it has only reported
    CHECK(told.count(host_state::fetching) == 2);

    std::vector<std::string> behind;
    for (auto const* each : told.stragglers()) {
        behind.push_back(each->name + " " + describe(*each));
    }
    CHECK(behind == lines{"10.0.0.2:6882 0% at 0 B/s", "10.0.0.2:6881 50% at 5 MiB/s"});
}
