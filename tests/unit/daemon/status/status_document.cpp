#include "daemon/status/status_document.hpp"

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "support/sample_status.hpp"

using namespace seedbed;
using namespace seedbed::test;
using Catch::Contains;
using json = nlohmann::json;

TEST_CASE("status document: the keys that scripts rely on") {
    auto const document = json::parse(to_status_document(sample_snapshot()));
    CHECK(document["format"] == 1);
    CHECK(document["version"] == "0.1.0");
    CHECK(document["time"] == "2026-01-31T12:00:00Z");
    CHECK(document["started"] == "2026-01-31T09:55:00Z");
    CHECK(document["uptime_seconds"] == 7500);
    CHECK(document["stopping"] == false);
    CHECK(document["complaint"].is_null());
    CHECK(document["cache"]["hits"] == 980);
    CHECK(document["cache"]["misses"] == 20);
    CHECK(document["cache"]["locks"] == 10'000);
    CHECK(document["cache"]["contended_locks"] == 2);
    CHECK(document["cache"]["clean_bytes"] == 128 << 20);
    CHECK(document["pool"]["capacity_bytes"] == 256 << 20);
    CHECK(document["pool"]["used_bytes"] == 132 << 20);
    REQUIRE(document["images"].size() == 3);

    auto const& incoming = document["images"][0];
    CHECK(incoming["name"] == "win11");
    CHECK(incoming["mode"] == "deploy");
    CHECK(incoming["state"] == "downloading");
    CHECK(incoming["failure"].is_null());
    CHECK(incoming["info_hash"] == std::string(40, 'b'));
    CHECK(incoming["progress"] == 0.4321);
    CHECK(incoming["total_bytes"] == 10LL << 30);
    CHECK(incoming["download_rate"] == 512 << 20);
    CHECK(incoming["downloaded_bytes"] == 1000);
    CHECK(incoming["uploaded_bytes"] == 2000);
    CHECK(incoming["device_read_bytes"] == 3000);
    CHECK(incoming["device_written_bytes"] == 4000);
    CHECK(incoming["durable"] == false);
    CHECK(incoming["class"] == "nvme");
    CHECK(incoming["engine"] == "io_uring, depth 64, direct I/O");
    REQUIRE(incoming["peers"].size() == 2);
    CHECK(incoming["peers"][1]["address"] == "2001:db8::2");
    CHECK(incoming["peers"][1]["progress"] == 0.25);

    auto const& served = document["images"][1];
    CHECK(served["durable"].is_null()); // meaningless if nothing is written
    CHECK(served["verified"].is_null());
    CHECK(served["class"] == "sata_ssd");
    CHECK(served["profile"] == "nvme");
    CHECK(served["peers"].is_null());

    auto const& failed = document["images"][2];
    CHECK_THAT(failed["failure"].get<std::string>(), Contains("Input/output error"));
    CHECK(failed["class"].is_null());
    CHECK(failed["engine"].is_null());
}

TEST_CASE("status document: the hosts of an image") {
    auto snapshot = sample_snapshot();
    snapshot.images[1].fleet = sample_fleet();
    auto const document = json::parse(to_status_document(snapshot));
    CHECK(document["images"][0]["fleet"].is_null());
    auto const& fleet = document["images"][1]["fleet"];
    CHECK(fleet["expected"] == 4);
    CHECK(fleet["known"] == 3);
    CHECK(fleet["complete"] == 1);
    CHECK(fleet["verified"] == 1);
    CHECK(fleet["failed"] == 1);
    CHECK(fleet["refused"] == 0);
    CHECK(fleet["missing"] == 1);
    CHECK(fleet["not_seen"] == json::array());
    CHECK(fleet["deployed"] == false);
    CHECK(fleet["started"] == "2026-01-31T11:56:40Z");
    CHECK(fleet["seconds"] == 200);
    REQUIRE(fleet["hosts"].size() == 3);
    auto const& moving = fleet["hosts"][1];
    CHECK(moving["name"] == "192.0.2.18");
    CHECK(moving["address"] == "192.0.2.18");
    CHECK(moving["port"] == 6881);
    CHECK(moving["state"] == "fetching");
    CHECK(moving["progress"] == 0.61);
    CHECK(moving["rate"] == 3250585);
    CHECK(moving["completed_at"].is_null());
    CHECK(moving["failure"].is_null());
    CHECK(moving["last_seen"] == "2026-01-31T11:59:50Z");
    CHECK(fleet["hosts"][0]["completed_at"] == "2026-01-31T11:59:50Z");
    CHECK_THAT(fleet["hosts"][2]["failure"].get<std::string>(), Contains("EIO"));
    CHECK(fleet["hosts"][2]["device"] == "/dev/sda");
    CHECK(fleet["hosts"][2]["class"] == "hdd");
    CHECK(moving["device"].is_null());
    CHECK(moving["class"].is_null());
}

TEST_CASE("status document: one line, and valid whatever the name of a device") {
    auto snapshot = sample_snapshot();
    snapshot.images[0].status.device = "/dev/\xff\n\"x\\";
    auto const text = to_status_document(snapshot);
    CHECK(text.find('\n') == std::string::npos);
    CHECK(json::parse(text)["images"][0]["device"] == "/dev/\xef\xbf\xbd\n\"x\\");
}

TEST_CASE("status document: a hang is reported") {
    auto snapshot = sample_snapshot();
    SECTION("a device") {
        snapshot.hang = "win11: no operation on /dev/win11 has completed for 30 s";
        snapshot.silence = std::chrono::seconds(60);
        CHECK(json::parse(to_status_document(snapshot))["complaint"] == snapshot.hang);
    }
    SECTION("the network thread") {
        snapshot.silence = std::chrono::milliseconds(4999);
        CHECK(json::parse(to_status_document(snapshot))["complaint"].is_null());
        snapshot.silence = std::chrono::milliseconds(7100);
        CHECK(json::parse(to_status_document(snapshot))["complaint"] == "the network thread has not answered for 7 s");
    }
}

TEST_CASE("status document: it can be read back") {
    auto snapshot = sample_snapshot();
    for (int i = 0; i <= static_cast<int>(image_state::closed); ++i) {
        snapshot.images.push_back(sample_image("i" + std::to_string(i), static_cast<image_state>(i)));
    }
    snapshot.images.back().status.durable = true;
    snapshot.images.back().status.verified = true;
    snapshot.stopping = true;
    snapshot.hang = "it does";
    fleet_status fleet = *sample_fleet();
    for (auto const state : host_states) {
        fleet.hosts.push_back(sample_host("192.0.2.3", state, 0.5));
    }
    fleet.hosts.back().device = "/dev/nvme0n1";
    fleet.hosts.back().disk_class = storage_class::nvme;
    fleet.hosts.back().stopped_seconds = 4;
    fleet.hosts.back().away_seconds = 5;
    fleet.hosts.back().expected = false;
    fleet.hosts.back().connected = true;
    fleet.hosts.back().fraction.reset();
    fleet.hosts.back().port = 0;
    fleet.not_seen = {"192.0.2.4"};
    fleet.deployed = true;
    snapshot.images[1].fleet = std::make_shared<fleet_status const>(fleet);
    snapshot.images[2].fleet = std::make_shared<fleet_status const>();
    auto const text = to_status_document(snapshot);
    auto const read = parse_status_document(text);
    REQUIRE(read);
    CHECK(to_status_document(*read) == text);
}

TEST_CASE("status document: the document of another version") {
    SECTION("unknown keys and missing keys") {
        auto const read = parse_status_document(
            R"({"format": 1, "new": [1], "images": [{"name": "a", "state": "seeding", "fleet": {}}]})");
        REQUIRE(read);
        REQUIRE(read->images.size() == 1);
        CHECK(read->images[0].status.name == "a");
        CHECK(read->images[0].status.failure.empty());
        CHECK_FALSE(read->images[0].peers);
        REQUIRE(read->images[0].fleet);
        CHECK(read->images[0].fleet->hosts.empty());
    }
    SECTION("an unknown state") {
        auto const read = parse_status_document(R"({"format": 1, "images": [{"name": "a", "state": "dreaming"}]})");
        REQUIRE_FALSE(read);
        CHECK(read.error().message == "the state of a is 'dreaming', which this program does not know");
        auto const host = parse_status_document(
            R"({"format": 1, "images": [{"state": "seeding", "fleet": {"hosts": [{"name": "b", "state": "lost"}]}}]})");
        REQUIRE_FALSE(host);
        CHECK(host.error().message == "the state of b is 'lost', which this program does not know");
    }
    SECTION("another format") {
        auto const read = parse_status_document(R"({"format": 2, "images": []})");
        REQUIRE_FALSE(read);
        CHECK(read.error().message == "the daemon's status has format 2, this program knows format 1");
    }
    SECTION("no status at all") {
        for (auto const* text : {"", "ok\n", "[]", "{}", "null", R"({"format": "1"})", R"({"format": 1})",
                                 R"({"format": 1, "images": [3]})", R"({"format": 1, "images": [{"name": 1}]})"}) {
            INFO(text);
            auto const read = parse_status_document(text);
            REQUIRE_FALSE(read);
            CHECK(read.error().message.find('\n') == std::string::npos);
        }
    }
}

TEST_CASE("status document: a number that does not fit is refused") {
    CHECK_FALSE(parse_status_document(R"({"format":1e300,"images":[]})"));
    CHECK_FALSE(parse_status_document(R"({"format":4294967297,"images":[]})"));
    CHECK_FALSE(parse_status_document(R"({"format":1,"cache":{"hits":-1},"images":[]})"));
    CHECK_FALSE(parse_status_document(R"({"format":1,"images":[{"state":"seeding","connections":3000000000}]})"));
}

TEST_CASE("status: whether an image has failed") {
    auto snapshot = sample_snapshot();
    CHECK(has_failed_image(snapshot));
    snapshot.images.pop_back();
    CHECK_FALSE(has_failed_image(snapshot));
}
