#include "daemon/service/receipt.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "daemon/history/receipt_text.hpp"
#include "support/sample_layouts.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using nlohmann::json;

namespace {

receipt of_a_done_deployment() {
    receipt what;
    what.started = receipt::clock::from_time_t(1764101700); // date -u -d @1764101700
    what.ended = what.started + std::chrono::seconds(2);
    what.taken = std::chrono::milliseconds(2500);
    what.torrent = "/tmp/sda1.torrent";
    what.device = "/dev/sda1";
    what.image_name = "sda1";
    device_overview device;
    device.kernel_name = "sda1";
    device.by_id = "/dev/disk/by-id/ata-X-part1";
    device.model = "X";
    device.serial = "S1";
    device.wwn = "naa.5";
    device.size = 1000;
    device.content.partition_uuid = "abcd-01";
    what.overview = device;
    auto& result = what.result;
    result.code = exit_ok;
    result.image.info_hash = info_hash::from_hex(std::string(40, '7'));
    result.image.total_bytes = 500;
    result.image.piece_length = 16384;
    result.image.piece_count = 1;
    result.image.detected = storage_class::nvme;
    result.image.profile = storage_class::nvme;
    result.image.fetched = 200;
    result.image.device_written = 210;
    result.image.uploaded = 7;
    result.image.durable = true;
    result.image.verified = true;
    result.to_fetch = 190;
    result.seconds[image_state::downloading] = 1.23456;
    peer_status peer;
    peer.address = "10.0.0.1";
    peer.port = 6881;
    peer.client = "Seedbed";
    peer.downloaded = 200;
    result.peers["id"] = peer;
    return what;
}

json parsed(receipt const& what) {
    return json::parse(to_json(what));
}

} // namespace

TEST_CASE("receipt: identity, amounts and times") {
    auto const document = parsed(of_a_done_deployment());
    CHECK(document["outcome"] == "done");
    CHECK(document["exit_status"] == 0);
    CHECK(document["verified"] == true);
    CHECK(document["durable"] == true);
    CHECK(document["started"] == "2025-11-25T20:15:00Z");
    CHECK(document["ended"] == "2025-11-25T20:15:02Z");
    CHECK(document["image"]["name"] == "sda1");
    CHECK(document["image"]["info_hash"] == std::string(40, '7'));
    CHECK(document["device"]["path"] == "/dev/sda1");
    CHECK(document["device"]["by_id"] == "/dev/disk/by-id/ata-X-part1");
    CHECK(document["device"]["model"] == "X");
    CHECK(document["device"]["serial"] == "S1");
    CHECK(document["device"]["wwn"] == "naa.5");
    CHECK(document["device"]["size"] == 1000);
    CHECK(document["device"]["partition_uuid"] == "abcd-01");
    CHECK(document["device"]["class"] == "nvme");
    CHECK(
        document["bytes"] ==
        json{{"image", 500}, {"unpacked", nullptr}, {"fetched", 200}, {"written", 210}, {"reused", 310}, {"sent", 7}});
    CHECK(document["seconds"]["downloading"] == 1.235);
    CHECK(document["seconds"]["verifying"].is_null());
    CHECK(document["seconds"]["total"] == 2.5);
    CHECK(
        document["peers"] ==
        json::array({{{"address", "10.0.0.1"}, {"port", 6881}, {"client", "Seedbed"}, {"fetched", 200}, {"sent", 0}}}));
    CHECK(document["errors"] == json::array());
    CHECK(document["host"].is_string());
    CHECK_THAT(document["program"].get<std::string>(), Catch::StartsWith("seedbed "));
}

TEST_CASE("receipt: the content that was found, and its warnings") {
    auto what = of_a_done_deployment();
    what.result.image.content.found = disk_content{.type = "ext4", .uuid = "12-34"};
    what.result.image.content.warnings = {"holds several signatures"};
    auto const document = parsed(what);
    CHECK(document["content"] ==
          json{{"type", "ext4"}, {"label", nullptr}, {"uuid", "12-34"}, {"partition_table", nullptr}});
    CHECK(document["warnings"] == json::array({"holds several signatures"}));
}

TEST_CASE("receipt: the layout that was written") {
    auto what = of_a_done_deployment();
    CHECK(parsed(what)["layout"].is_null());
    what.layout = test::sample_gpt();
    auto const layout = parsed(what)["layout"];
    CHECK(layout["table"] == "gpt");
    CHECK(layout["id"] == test::guid(0));
    REQUIRE(layout["partitions"].size() == 6);
    CHECK(layout["partitions"][2] == json{{"number", 3},
                                          {"start", 117 * test::mib},
                                          {"size", 400 * test::mib},
                                          {"type", test::guid(100)},
                                          {"uuid", test::guid(3)},
                                          {"file_system", "ntfs"},
                                          {"file_system_uuid", "1234567890ABCDEF"}});
    what.layout = test::sample_mbr();
    CHECK(parsed(what)["layout"]["table"] == "dos");
    CHECK(parsed(what)["layout"]["partitions"][0]["uuid"].is_null());
}

TEST_CASE("receipt: verified means done and read back") {
    auto what = of_a_done_deployment();
    SECTION("not read back") {
        what.result.image.verified = false;
        CHECK(parsed(what)["durable"] == true);
    }
    SECTION("not durable") {
        what.result.image.durable = false;
        CHECK(parsed(what)["durable"] == false);
    }
    SECTION("failed afterwards") {
        what.result.code = exit_device_failed;
        what.errors = {"failed: read /dev/sda1"};
        CHECK(parsed(what)["durable"] == false);
        CHECK(parsed(what)["outcome"] == "device_failed");
        CHECK(parsed(what)["errors"] == json::array({"failed: read /dev/sda1"}));
    }
    CHECK(parsed(what)["verified"] == false);
}

TEST_CASE("receipt: an unknown value is null") {
    receipt what;
    what.device = "/dev/\xff";
    what.result.code = exit_refused;
    what.result.image.guard = device_guard::missing;
    auto const document = parsed(what);
    CHECK(document["guard"] == "missing");
    CHECK(document["device"]["path"] == "/dev/\xef\xbf\xbd"); // JSON is UTF-8
    for (auto const* const key : {"model", "serial", "wwn", "size", "class", "engine", "by_id", "partition_uuid"}) {
        CAPTURE(key);
        CHECK(document["device"][key].is_null());
    }
    CHECK(document["image"]["name"].is_null());
    CHECK(document["content"].is_null());
    CHECK(document["warnings"] == json::array());
    CHECK(document["bytes"]["image"].is_null());
    CHECK(document["bytes"]["reused"].is_null());
    CHECK(document["peers"] == json::array());
}

TEST_CASE("receipt: every exit status has its own outcome") {
    std::map<std::string, int> names;
    for (int code = 0; code <= 9; ++code) {
        ++names[outcome_name(static_cast<exit_code>(code))];
    }
    CHECK(names.size() == 10);
}

TEST_CASE("receipt: replaces an older one atomically") {
    test::temp_dir const folder;
    auto const path = folder / "r.json";
    std::ofstream(path) << std::string(10000, 'x');
    REQUIRE(save_receipt(path.string(), of_a_done_deployment()));
    std::ifstream in(path);
    CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == to_json(of_a_done_deployment()));
    CHECK(std::distance(std::filesystem::directory_iterator(folder.path()), {}) == 1); // no temporary file is left
    CHECK_FALSE(save_receipt((folder / "missing/r.json").string(), of_a_done_deployment()));
    CHECK_FALSE(save_receipt("/dev/null", of_a_done_deployment()));
}

TEST_CASE("receipt: one line for the server, with the first of long lists") {
    auto what = of_a_done_deployment();
    auto const whole = json::parse(unpacked_receipt(short_receipt(what)));
    CHECK(whole["left_out"] == 0);
    CHECK(whole["peers"] == parsed(what)["peers"]);
    for (int i = 0; i < 1000; ++i) {
        peer_status peer;
        peer.address = "2001:db8::" + std::to_string(i * 7919);
        peer.client = "Seedbed " + std::to_string(i);
        peer.downloaded = i * 1'000'003;
        what.result.peers[std::to_string(i)] = peer;
    }
    auto const document = json::parse(unpacked_receipt(short_receipt(what)));
    auto const kept = document["peers"].size();
    CHECK(kept >= 32);
    CHECK(document["left_out"] == 1001 - kept);
    CHECK(document["peers"][0]["fetched"] == 999 * 1'000'003);
    CHECK(document["peers"].back()["fetched"] == (1000 - static_cast<std::int64_t>(kept)) * 1'000'003);
}

TEST_CASE("receipt: of a deployment of the daemon") {
    image_settings image;
    image.name = "win11";
    image.device = "/dev/sda";
    image.torrent = "/srv/win11.torrent";
    ended_deployment ended;
    ended.image = of_a_done_deployment().result.image;
    ended.image.age_seconds = 90.5;
    ended.seconds[image_state::downloading] = 60;
    peer_record peers;
    peer_status peer;
    peer.id = "id";
    peer.downloaded = 200;
    peers.add(peer);
    auto document = parsed(receipt_of(image, ended, peers, receipt::clock::from_time_t(1764101700)));
    CHECK(document["outcome"] == "done");
    CHECK(document["verified"] == true);
    CHECK(document["ended"] == "2025-11-25T20:15:00Z");
    CHECK(document["seconds"]["total"] == 90.5);
    CHECK(document["seconds"]["downloading"] == 60.0);
    CHECK(document["peers"][0]["fetched"] == 200);
    CHECK(document["image"]["name"] == "win11");
    ended.image.failed_at = failure_kind::write;
    ended.image.failure = "EIO";
    document = parsed(receipt_of(image, ended, peers, receipt::clock::from_time_t(1764101700)));
    CHECK(document["outcome"] == "device_failed");
    CHECK(document["errors"] == json{"EIO"});
}
