#include "daemon/status/board_document.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "support/sample_room.hpp"

using namespace seedbed;
using namespace seedbed::test;

TEST_CASE("board document: it has every row's values, the texts of machines unchanged") {
    auto job = a_job(job_state::failed, "write", 37);
    job.reason = "<script>alert(1)</script>\xff";
    auto snapshot = with_hosts({});
    snapshot.version = "0.1.0";
    auto& served = snapshot.images.front();
    served.status.mode = image_mode::seed;
    served.status.upload_rate = 1000;
    fleet_status fleet;
    fleet.complete = 3;
    fleet.expected = 40;
    served.fleet = std::make_shared<fleet_status const>(fleet);
    snapshot.images.push_back(sample_image("data", image_state::failed));
    snapshot.images.back().status.total_bytes = 0;
    snapshot.images.back().status.failure = "EIO";
    auto const text = to_board_document(make_board({configured("<b>", "192.0.2.1", job)}, snapshot), snapshot);
    CHECK(text.find('\n') == std::string::npos); // a line of an event
    auto const document = nlohmann::json::parse(text);
    CHECK(document.at("format") == 1);
    CHECK(document.at("sent_rate") == 1000);
    CHECK(document.at("complaint").is_null());
    CHECK(document.at("left_seconds").is_null());
    CHECK(document.at("images") == nlohmann::json::parse(R"([
        {"name": "win11", "state": "seeding", "bytes": 10737418240, "percent": null, "complete": 3, "expected": 40,
         "rate": 1000, "failure": null},
        {"name": "data", "state": "failed", "bytes": null, "percent": 0.0, "complete": null, "expected": null,
         "rate": 0, "failure": "EIO"}])"));
    CHECK(document.at("totals").at("failed") == 1);
    CHECK(document.at("totals").at("no job") == 0);
    CHECK(document.at("machines") == nlohmann::json::parse(R"([{
        "name": "<b>", "mac": "52:54:00:00:00:01", "address": "192.0.2.1", "image": "win11", "state": "failed",
        "phase": "write", "percent": 37.0, "rate": 0, "downloading": false, "left_seconds": null, "disk": "auto",
        "class": null,
        "reason": "<script>alert(1)</script>\ufffd"}])"));
}

TEST_CASE("board document: rows above the limit are counted, not listed") {
    std::vector<machine_row> machines;
    for (int i = 0; i < 5; ++i) {
        machines.push_back(configured("PC-" + std::to_string(i), ""));
    }
    auto const document = nlohmann::json::parse(to_board_document(make_board(machines, {}), {}, 3));
    CHECK(document.at("machines").size() == 3);
    CHECK(document.at("unlisted") == 2);
    CHECK(document.at("totals").at("machines") == 5);
}

TEST_CASE(
    "board document: if there are too many rows, machines are listed rather than hosts, which strangers can make") {
    auto const board = make_board({configured("PC-1", ""), configured("PC-2", "")},
                                  with_hosts({sample_host("192.0.2.1", host_state::failed, 0.1),
                                              sample_host("192.0.2.2", host_state::failed, 0.1),
                                              sample_host("192.0.2.3", host_state::failed, 0.1)}));
    auto const names = [&board](std::size_t most) {
        std::string all;
        auto const document = nlohmann::json::parse(to_board_document(board, {}, most));
        for (auto const& row : document.at("machines")) {
            all += row.at("name").get<std::string>() + " ";
        }
        return all;
    };
    CHECK(names(5) == "192.0.2.1 192.0.2.2 192.0.2.3 PC-1 PC-2 ");
    CHECK(names(3) == "192.0.2.1 PC-1 PC-2 ");
    CHECK(names(1) == "PC-1 ");
}

TEST_CASE("board document: what was written is read again") {
    auto job = a_job(job_state::running, "downloading", 42);
    job.device = "/dev/nvme0n1";
    job.disk_class = storage_class::nvme;
    auto host = sample_host("192.0.2.18", host_state::fetching, 0.5);
    host.rate = 512.0 * (1 << 20);
    auto snapshot = with_hosts({host, sample_host("192.0.2.19", host_state::failed, 0.25)});
    snapshot.version = "0.1.0";
    snapshot.taken = std::chrono::system_clock::from_time_t(1'769'860'800);
    snapshot.stopping = true;
    snapshot.hang = "sda1: no operation";
    snapshot.images.push_back(sample_image("data", image_state::failed));
    snapshot.images.back().status.failure = "EIO";
    auto board = make_board({configured("PC-17", "192.0.2.18", job), configured("PC-18", "")}, snapshot);
    board.rows[0].reason = "\x1b[2J";
    auto const shown = parse_board_document(to_board_document(board, snapshot, 2));
    REQUIRE(shown);
    CHECK(shown->version == "0.1.0");
    CHECK(shown->taken == snapshot.taken);
    CHECK(shown->stopping);
    CHECK(shown->complaint == "sda1: no operation");
    CHECK(shown->images == 2);
    REQUIRE(shown->failed_images.size() == 1);
    CHECK(shown->failed_images[0].name == "data");
    CHECK(shown->failed_images[0].failure == "EIO");
    CHECK(shown->machines == 3);
    CHECK(shown->unlisted == 1); // a host; machines come first
    CHECK(shown->board.counts == board.counts);
    CHECK(shown->board.rate == board.rate);
    CHECK(shown->board.left_seconds == board.left_seconds);
    REQUIRE(shown->board.rows.size() == 2);
    auto const& row = shown->board.rows[0];
    CHECK(row.name == "PC-17");
    CHECK(row.mac == "52:54:00:00:00:01");
    CHECK(row.address == "192.0.2.18");
    CHECK(row.image == "win11");
    CHECK(row.state == board_state::running);
    CHECK(row.phase == "downloading");
    CHECK(row.fraction == Approx(0.42));
    CHECK(row.rate == host.rate);
    CHECK(row.is_downloading);
    CHECK(row.left_seconds == 10);
    CHECK(row.disk == "/dev/nvme0n1");
    CHECK(row.disk_class == storage_class::nvme);
    CHECK(shown->board.rows[1].name == "PC-18");
    CHECK_FALSE(shown->board.rows[1].fraction);
    CHECK_FALSE(shown->board.rows[1].left_seconds);
    CHECK_FALSE(shown->board.rows[1].disk_class);
}

TEST_CASE("board document: other documents are refused with one line, unknown states are shown as they are") {
    for (auto const* text : {"", "[]", "null", "{}", R"({"format":2})", R"({"format":1})",
                             R"({"format":1,"images":[],"totals":{},"machines":[{"name":7}]})",
                             R"({"format":1,"images":[],"totals":{},"machines":[{"left_seconds":1e300}]})"}) {
        INFO(text);
        auto const shown = parse_board_document(text);
        REQUIRE_FALSE(shown);
        CHECK(shown.error().message.find('\n') == std::string::npos);
    }
    auto const later =
        parse_board_document(R"({"format":1,"images":[],"totals":{},"machines":[{"name":"a","state":"melted"}]})");
    REQUIRE(later);
    CHECK(later->board.rows.at(0).phase == "melted");
    CHECK(later->board.rows.at(0).state == board_state::waiting);
}
