#include "daemon/commands/verify_report.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

using namespace seedbed;
using nlohmann::json;

namespace {

/// 25 pieces of 100 bytes, each its own extent, the last one with 30 bytes.
image_torrent torrent() {
    std::vector<extent> extents;
    for (std::int64_t piece = 0; piece < 24; ++piece) {
        extents.push_back({piece * 1000, 100});
    }
    extents.push_back({24000, 30});
    return {.name = "sda1",
            .info_hash = info_hash::from_hex(std::string(40, '7')).value(),
            .piece_length = 100,
            .piece_count = 25,
            .v1 = true,
            .extents = extent_map::make(std::move(extents)).value(),
            .traits = {},
            .info = nullptr};
}

verify_result differing(std::int32_t pieces) {
    verify_result result;
    for (std::int32_t piece = 0; piece < pieces; ++piece) {
        result.outcome.pieces.push_back(piece_index{piece});
    }
    result.seconds = 2;
    return result;
}

std::string text(verify_result const& result) {
    return verify_text("/dev/sdx\x1b", torrent(), result, find_bad_extents(torrent(), result.outcome.pieces));
}

json document(verify_result const& result) {
    return json::parse(verify_json("/dev/sdx", torrent(), result, find_bad_extents(torrent(), result.outcome.pieces)));
}

} // namespace

TEST_CASE("verify report: an equal device") {
    CHECK(text(differing(0)) == "/dev/sdx?: equal: 2.4 KiB in 2s (1.2 KiB/s)\n");
    auto const equal = document(differing(0));
    CHECK(equal["format"] == 1);
    CHECK(equal["device"] == "/dev/sdx");
    CHECK(equal["name"] == "sda1");
    CHECK(equal["info_hash"] == std::string(40, '7'));
    CHECK(equal["bytes"] == 2430);
    CHECK(equal["pieces"] == 25);
    CHECK(equal["equal"] == true);
    CHECK(equal["complete"] == true);
    CHECK(equal["bad_pieces"] == 0);
    CHECK(equal["bad_extents"] == json::array());
    CHECK(equal["error"].is_null());
    CHECK(equal["seconds"] == 2);
}

TEST_CASE("verify report: bad extents") {
    CHECK(text(differing(1)) == "/dev/sdx?: 1 of 25 pieces differ: 100 B in 1 extent\n"
                                "offset 0, length 100: piece 0\n");
    CHECK(text(differing(2)) == "/dev/sdx?: 2 of 25 pieces differ: 200 B in 2 extents\n"
                                "offset 0, length 100: piece 0\n"
                                "offset 1000, length 100: piece 1\n");
    auto const found = document(differing(2));
    CHECK(found["equal"] == false);
    CHECK(found["complete"] == true);
    CHECK(found["bad_pieces"] == 2);
    CHECK(found["bad_extents"][1] == json{{"offset", 1000}, {"length", 100}, {"first_piece", 1}, {"last_piece", 1}});
    std::vector<bad_extent> const merged{{0, 250, piece_index{0}, piece_index{2}}};
    CHECK_THAT(verify_text("x", torrent(), differing(3), merged), Catch::EndsWith("length 250: pieces 0 to 2\n"));
}

TEST_CASE("verify report: the text lists 20 extents, the JSON document all") {
    CHECK_THAT(text(differing(20)), Catch::EndsWith("offset 19000, length 100: piece 19\n"));
    CHECK_THAT(text(differing(25)),
               Catch::EndsWith("offset 19000, length 100: piece 19\nand 5 more; --json lists all\n"));
    CHECK(document(differing(25))["bad_extents"].size() == 25);
}

TEST_CASE("verify report: interrupted") {
    verify_result result;
    result.outcome.cancelled = true;
    CHECK(text(result).empty());
    CHECK(document(result)["equal"] == false);
    CHECK(document(result)["complete"] == false);
}
