#include "daemon/terminal/status_layout.hpp"

#include <algorithm>
#include <iterator>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "support/sample_status.hpp"

using namespace seedbed;
using namespace seedbed::test;
using Catch::Contains;
using lines = std::vector<std::string>;

namespace {

/// For the failure message.
std::string text(lines const& all) {
    std::string joined;
    for (auto const& line : all) {
        joined += line + "\n";
    }
    return joined;
}

void check_fits(lines const& all, std::size_t width, std::size_t height) {
    INFO(width << "x" << height << "\n" << text(all));
    CHECK(all.size() <= height);
    for (auto const& line : all) {
        CHECK(line.size() <= width);
        CHECK(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; }));
    }
}

std::size_t count(lines const& all, std::string const& part) {
    return static_cast<std::size_t>(
        std::ranges::count_if(all, [&part](auto const& line) { return line.find(part) != std::string::npos; }));
}

/// A room of machines that download one image.
status_snapshot room(int machines) {
    auto snapshot = sample_snapshot();
    snapshot.images.resize(2);
    std::vector<peer_status> peers;
    for (int i = 1; i <= machines; ++i) {
        auto peer = sample_peer("192.0.2." + std::to_string(i), i == 30 ? 0.05 : 0.5 + 0.01 * i);
        peer.upload_rate = (1 << 20) * i;
        peers.push_back(peer);
    }
    set_peers(snapshot.images[1], peers);
    return snapshot;
}

/// Adds \p more seeding images before and after the three others.
status_snapshot many_images(int more) {
    auto snapshot = sample_snapshot();
    for (int i = 0; i < more; ++i) {
        auto const front = i % 2 == 0;
        snapshot.images.insert(front ? snapshot.images.begin() : snapshot.images.end(),
                               sample_image("image" + std::to_string(i), image_state::seeding, 1));
    }
    return snapshot;
}

} // namespace

TEST_CASE("status layout: a table of 80 columns") {
    CHECK(status_table(sample_snapshot(), 80) ==
          lines{"Seedbed 0.1.0, up 2h05m; 3 images; pool 51% of 256 MiB; cache 98.0% hits",
                "NAME          STATE       PROGRESS      RATE PEERS LEFT DEVICE          CLASS",
                "win11         downloading      43% 512 MiB/s     2  12s /dev/win11      NVMe",
                "debian-12-lab seeding         100%  98 MiB/s     0    - /dev/di..-part1 SATA SSD",
                "data          failed             -         -     0    - /dev/data       -",
                "data: failed: write /dev/data: offset 1048576, length 16384: Input/output error", "  (EIO)"});
}

TEST_CASE("status layout: the peers that sent damaged pieces are named, the worst first") {
    auto snapshot = sample_snapshot();
    snapshot.images.resize(1);
    auto& damage = snapshot.images[0].status.damage;
    damage = {{"192.0.2.7", 1}, {"192.0.2.8", 12}};
    lines const expected{"win11: damaged pieces: 12 from 192.0.2.8, 1 from 192.0.2.7"};
    auto const of = [](lines const& all) {
        lines found;
        std::ranges::copy_if(all, std::back_inserter(found),
                             [](auto const& line) { return line.find("damaged") != std::string::npos; });
        return found;
    };
    CHECK(of(status_table(snapshot, 80)) == expected);
    CHECK(of(status_screen(snapshot, {}, {}, 80, 24)) == expected);
    damage["192.0.2.9"] = 2;
    damage["192.0.2.10\x1b"] = 3;
    CHECK(of(status_table(snapshot, 0)) ==
          lines{"win11: damaged pieces: 12 from 192.0.2.8, 3 from 192.0.2.10?, 2 from 192.0.2.9, 1 more peer"});
    damage.clear();
    CHECK(of(status_table(snapshot, 80)).empty());
}

TEST_CASE("status layout: without a width nothing is shortened") {
    auto const all = status_table(sample_snapshot(), 0);
    REQUIRE(all.size() == 6);
    CHECK_THAT(all[3], Contains("debian-12-lab ") &&
                           Contains(" /dev/disk/by-id/ata-Samsung_SSD_870_EVO_1TB_S6PTNM0R123456-part1 ") &&
                           Contains("io_uring, depth 64, direct I/O"));
    CHECK(all[5] == "data: failed: write /dev/data: offset 1048576, length 16384: Input/output error (EIO)");
}

TEST_CASE("status layout: no images") {
    auto snapshot = sample_snapshot();
    snapshot.images.clear();
    CHECK(status_table(snapshot, 40) == lines{"Seedbed 0.1.0, up 2h05m; 0 images"});
    check_fits(status_screen(snapshot, "12:00:00", "", 40, 10), 40, 10);
}

TEST_CASE("status layout: each state shows its own progress and rate") {
    status_snapshot snapshot;
    auto const row = [&snapshot](status_snapshot::image const& image) {
        snapshot.images = {image};
        return status_table(snapshot, 0).at(2);
    };
    auto checking = sample_image("a", image_state::checking, 0.25);
    checking.status.phase_seconds = 10; // 2.5 of 10 GiB in 10 s
    CHECK_THAT(row(checking), Contains("checking") && Contains(" 25% ") && Contains("256 MiB/s") && Contains(" 30s "));
    auto verifying = checking;
    verifying.status.state = image_state::verifying;
    CHECK_THAT(row(verifying), Contains("verifying") && Contains(" 25% ") && Contains("256 MiB/s"));
    auto flushing = sample_image("a", image_state::flushing, 1);
    CHECK_THAT(row(flushing), Contains("flushing") && !Contains("%"));
    auto done = sample_image("a", image_state::seeding, 1);
    done.status.durable = true;
    CHECK_THAT(row(done), Contains(" durable "));
    done.status.verified = true;
    CHECK_THAT(row(done), Contains(" verified "));
    auto stalled = sample_image("a", image_state::downloading, 0.999999);
    CHECK_THAT(row(stalled), Contains(" 99% ") && !Contains("/s "));
}

TEST_CASE("status layout: a hang, and a daemon that is stopping") {
    auto snapshot = sample_snapshot();
    snapshot.hang = "win11: no operation on /dev/win11 has completed for 30 s";
    snapshot.stopping = true;
    auto const all = status_table(snapshot, 80);
    CHECK_THAT(all[0], Contains("up 2h05m, stopping; "));
    CHECK(count(all, "hangs: win11: no operation on /dev/win11 has completed for 30 s") == 1);
}

TEST_CASE("status layout: a screen of 80x24") {
    auto const screen = status_screen(sample_snapshot(), "12:00:00", "", 80, 24);
    check_fits(screen, 80, 24);
    INFO(text(screen));
    CHECK(screen == lines{"Seedbed 0.1.0, up 2h05m; 3 images; pool 51% of 256 MiB                  12:00:00",
                          "NAME          STATE       PROGRESS      RATE PEERS LEFT DEVICE          CLASS",
                          "win11         downloading      43% 512 MiB/s     2  12s /dev/win11      NVMe",
                          "     192.0.2.1:6881      [####################]  seed  idle  Seedbed 0.1.0",
                          "     [2001:db8::2]:6881  [#####...............]   25%  idle  Seedbed 0.1.0",
                          "debian-12-lab seeding         100%  98 MiB/s     0    - /dev/di..-part1 SATA SSD",
                          "data          failed             -         -     0    - /dev/data       -",
                          "data: failed: write /dev/data: offset 1048576, length 16384: Input/output error",
                          "  (EIO)"});
}

TEST_CASE("status layout: the lines fit screens of all sizes") {
    auto trouble = room(40);
    trouble.hang = std::string(300, 'x');
    for (auto const& snapshot : {sample_snapshot(), room(40), many_images(30), trouble, status_snapshot{}}) {
        for (auto const& [width, height] : std::vector<std::pair<std::size_t, std::size_t>>{
                 {80, 24}, {40, 10}, {200, 50}, {60, 15}, {1, 1}, {3, 2}, {20, 3}, {300, 4}}) {
            check_fits(status_screen(snapshot, "12:00:00", "", width, height), width, height);
            check_fits(status_screen(snapshot, "12:00:00", "these numbers are old", width, height), width, height);
        }
    }
}

TEST_CASE("status layout: a small screen keeps the important columns") {
    auto const screen = status_screen(sample_snapshot(), "12:00:00", "", 40, 10);
    INFO(text(screen));
    CHECK(screen[0] == "Seedbed 0.1.0, up 2h05m         12:00:00");
    CHECK_THAT(screen[1], Contains("NAME") && Contains("STATE") && Contains("PROGRESS") && Contains("RATE"));
    CHECK(count(screen, "win11     downloading      43% 512 MiB/s") == 1);
    CHECK(count(screen, "debi..lab seeding") == 1);
    CHECK(count(screen, "data      failed") == 1);
    CHECK(count(screen, "data: failed: write /dev/data:") == 1);
}

TEST_CASE("status layout: a large screen shows everything") {
    auto const screen = status_screen(room(40), "12:00:00", "", 200, 50);
    INFO(text(screen));
    CHECK(count(screen, "ENGINE") == 1);
    CHECK(count(screen, "/dev/disk/by-id/ata-Samsung_SSD_870_EVO_1TB_S6PTNM0R123456-part1") == 1);
    CHECK(count(screen, "192.0.2.") == 41);
    CHECK(count(screen, "more peer") == 0);
    // Ordered by address.
    auto const nine = std::ranges::find_if(screen, [](auto const& line) { return line.find(".9:") != line.npos; });
    auto const ten = std::ranges::find_if(screen, [](auto const& line) { return line.find(".10:") != line.npos; });
    CHECK(nine + 1 == ten);
}

TEST_CASE("status layout: without room for all peers, those with the least progress are shown") {
    auto const screen = status_screen(room(40), "12:00:00", "", 80, 12);
    INFO(text(screen));
    CHECK(screen.size() == 12);
    CHECK(count(screen, "192.0.2.30:6881") == 1); // the straggler
    CHECK(count(screen, "192.0.2.40:6881") == 0);
    CHECK(count(screen, "]   5% gets 30 MiB/s ") == 1);
    CHECK(count(screen, "    ... 35 more peers") == 1);
    CHECK(count(screen, "win11 ") == 1);
    CHECK(count(screen, "192.0.2.1:6881") + count(screen, "[2001:db8::2]:6881") == 3); // of both images
}

TEST_CASE("status layout: without room for all images, active and failed ones are shown") {
    auto const screen = status_screen(many_images(30), "12:00:00", "", 80, 12);
    INFO(text(screen));
    CHECK(count(screen, "win11   downloading") == 1);
    CHECK(count(screen, "data    failed") == 1);
    CHECK(count(screen, "... 26 more images: 26 seeding") == 1);
    auto const crowd = status_screen(many_images(30), "12:00:00", "", 80, 24);
    CHECK(count(crowd, "... 14 more images: 14 seeding") == 1);
    CHECK(crowd.size() == 24);
}

TEST_CASE("status layout: more failures than fit are counted") {
    auto snapshot = sample_snapshot();
    snapshot.images.clear();
    for (int i = 0; i < 20; ++i) {
        auto image = sample_image("image" + std::to_string(i), image_state::failed);
        image.status.failure = "the disk is gone";
        snapshot.images.push_back(image);
    }
    auto const screen = status_screen(snapshot, "12:00:00", "", 80, 24);
    INFO(text(screen));
    CHECK(count(screen, "failed: the disk is gone") == 7);
    CHECK(screen.back() == "... 13 more lines: see seedbed status");
}

TEST_CASE("status layout: a daemon that has stopped answering") {
    auto const screen = status_screen(sample_snapshot(), "12:00:09", "showing the status of 12:00:00: gone", 80, 24);
    CHECK(count(screen, "showing the status of 12:00:00: gone") == 1);
}

TEST_CASE("status layout: the daemon's texts cannot drive the terminal") {
    auto snapshot = sample_snapshot();
    snapshot.version = "\x1b[2J";
    snapshot.images[0].status.name = "a\x1b]0;b\x07";
    snapshot.images[0].status.engine = "\xff\xfe";
    snapshot.images[2].status.failure = "c\nd\x1b";
    auto peer = sample_peer("\x1b[1m", 0.5);
    peer.client = "\x9b"
                  "31m";
    set_peers(snapshot.images[0], {peer});
    check_fits(status_screen(snapshot, "12:00:00", "\x1b", 200, 50), 200, 50);
    check_fits(status_table(snapshot, 0), 10'000, 100);
}

TEST_CASE("status layout: an image's row counts its complete hosts, incomplete ones are listed below") {
    auto snapshot = sample_snapshot();
    snapshot.images.erase(snapshot.images.begin() + 2);
    snapshot.images[1].fleet = sample_fleet();
    CHECK(status_table(snapshot, 80) ==
          lines{"Seedbed 0.1.0, up 2h05m; 2 images; pool 51% of 256 MiB; cache 98.0% hits",
                "NAME         STATE           PROGRESS      RATE PEERS LEFT DEVICE       CLASS",
                "win11        downloading          43% 512 MiB/s     2  12s /dev/win11   NVMe",
                "debia..2-lab seeding     1/4 complete  98 MiB/s     0    - /dev/..part1 SATA SSD",
                "    192.0.2.19 failed: write /dev/sda: offset 1..16384: Input/output error (EIO)",
                "    192.0.2.18 61% at 3.1 MiB/s", "    1 host     not seen"});
    auto const whole = status_table(snapshot, 0);
    CHECK(count(whole, "     192.0.2.19  failed: write /dev/sda: offset 1048576, length 16384: Input/output error") ==
          1);

    // No hosts are expected: the row counts complete hosts once at least one exists.
    fleet_status open;
    snapshot.images[1].fleet = std::make_shared<fleet_status const>(open);
    CHECK(count(status_table(snapshot, 80), "complete") == 0);
    open.complete = 1;
    open.hosts = {sample_host("192.0.2.17", host_state::pieces, 1)};
    snapshot.images[1].fleet = std::make_shared<fleet_status const>(open);
    CHECK(count(status_table(snapshot, 80), " 1 complete ") == 1);

    // An image being deployed here that other hosts download, too: its row shows the local progress.
    snapshot.images[0].fleet = sample_fleet();
    CHECK(count(status_table(snapshot, 80), "    1/4 complete") == 1);
    CHECK(count(status_table(snapshot, 80), " 43% ") == 1);
}

TEST_CASE("status layout: the worst of many incomplete hosts are named") {
    auto snapshot = sample_snapshot();
    fleet_status fleet;
    fleet.expected = 40;
    for (int i = 1; i <= 20; ++i) {
        fleet.hosts.push_back(sample_host("192.0.2." + std::to_string(i), host_state::fetching, 0.04 * i));
    }
    fleet.not_seen = {"192.0.2.100", "192.0.2.101"};
    fleet.missing = 2;
    snapshot.images[1].fleet = std::make_shared<fleet_status const>(fleet);
    auto const table = status_table(snapshot, 80);
    CHECK(count(table, "     192.0.2.1  4% at 0 B/s") == 1);
    CHECK(count(table, "192.0.2.6 ") == 0);
    CHECK(count(table, "     ... 17 more") == 1);

    // On a screen, hosts that are listed as peers have no second line.
    snapshot.images.resize(2);
    snapshot.images[0].peers = nullptr;
    set_peers(snapshot.images[1], {sample_peer("192.0.2.1", 0.04), sample_peer("192.0.2.2", 0.08)});
    auto const large = status_screen(snapshot, "12:00:00", "", 80, 60);
    INFO(text(large));
    CHECK(count(large, "192.0.2.1 ") == 0);
    CHECK(count(large, "192.0.2.1:6881") == 1);
    CHECK(count(large, "192.0.2.20 ") == 1);
    CHECK(count(large, "192.0.2.101  not seen") == 1);
    auto const small = status_screen(snapshot, "12:00:00", "", 80, 16);
    INFO(text(small));
    CHECK(count(small, "     ... 11 more") == 1);
    CHECK(count(small, "192.0.2.1:6881") == 1);
    for (auto const& [width, height] : std::vector<std::pair<std::size_t, std::size_t>>{
             {80, 24}, {40, 10}, {200, 50}, {60, 15}, {1, 1}, {3, 2}, {20, 3}, {300, 4}}) {
        check_fits(status_screen(snapshot, "12:00:00", "", width, height), width, height);
    }
    check_fits(status_table(snapshot, 40), 40, 20);
}
