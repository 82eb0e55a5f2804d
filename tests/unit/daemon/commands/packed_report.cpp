#include "daemon/commands/packed_report.hpp"

#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "support/packed_sample.hpp"
#include "support/sample_layouts.hpp"

using namespace seedbed;

namespace {

constexpr std::int64_t mib = 1 << 20;

packed_image sample_image() {
    return make_packed_sample(mixed_bytes(8 * mib), {{0, 3 * mib}, {5 * mib, 3 * mib}}).image();
}

} // namespace

TEST_CASE("packed images are described for people") {
    auto image = sample_image();
    image.description.label = "a\033b";
    auto const text = packed_text(image);
    CHECK_THAT(text, Catch::StartsWith("sda1.sbi: partition of 8 MiB in sectors of 512 bytes, ext4 \"a?b\"\n"
                                       "  holds      6 MiB in ") &&
                         Catch::Contains(" chunks and 2 extents\n  packed     ") &&
                         Catch::EndsWith("  info-hash  " + image.info_hash.to_hex() + "\n"));
}

TEST_CASE("differing chunks are joined to extents") {
    auto const image = sample_image();
    auto const chunks = image.index.chunks();
    REQUIRE(chunks.size() > 6);
    CHECK(find_bad_extents(image, {}).empty());
    REQUIRE(chunks[0].end() == chunks[1].offset);
    auto const bad = find_bad_extents(image, {0, 1, chunks.size() - 1});
    REQUIRE(bad.size() == 2);
    CHECK(bad[0].offset == 0);
    CHECK(bad[0].length == chunks[1].end().value());
    CHECK(bad[1].offset == chunks.back().offset.value());
    CHECK(bad[1].length == chunks.back().raw_length);
    CHECK(bad[1].last_piece == piece_index{image.piece_count() - 1});
}

TEST_CASE("the result of comparing a device with a packed image") {
    auto const image = sample_image();
    packed_verification result;
    result.seconds = 2;
    CHECK(packed_verify_text("/dev/sdx", image, result) == "/dev/sdx: equal: 6 MiB in 2s (3 MiB/s)\n");
    result.found.differing = {0};
    auto const& first = image.index.chunks()[0];
    CHECK_THAT(packed_verify_text("/dev/sdx", image, result),
               Catch::StartsWith("/dev/sdx: 1 of ") && Catch::Contains(" chunks differ: ") &&
                   Catch::EndsWith("\noffset 0, length " + std::to_string(first.raw_length) + "\n"));
    auto const document = nlohmann::json::parse(packed_verify_json("/dev/sdx", image, result));
    CHECK(document["equal"] == false);
    CHECK(document["complete"] == true);
    CHECK(document["bad_chunks"] == 1);
    CHECK(document["bad_extents"][0]["length"] == first.raw_length);
    CHECK(document["grown"].is_null());
    CHECK(document["error"].is_null());
    result.found.read_failed = io_error{io_operation::read, "/dev/sdx", 0, 512, 5};
    CHECK(nlohmann::json::parse(packed_verify_json("/dev/sdx", image, result))["complete"] == false);
}

TEST_CASE("differences in a grown partition are named, and not counted") {
    auto const image = sample_image();
    auto const chunks = image.index.chunks();
    auto const partition = test::gpt_partition(2, 5 * mib, 3 * mib, "ext4");
    packed_verification result;
    result.seconds = 2;
    result.found.differing = {0, chunks.size() - 1};
    result.grown = take_out_grown(image, partition, 10 * mib, result.found);
    CHECK(result.found.differing == std::vector<std::size_t>{0});
    CHECK(result.grown->differing == 1);
    CHECK(result.grown->bytes == 3 * mib);
    result.found.differing.clear();
    CHECK(packed_verify_text("/dev/sdx", image, result) ==
          "/dev/sdx: equal: 3 MiB in 2s (1.5 MiB/s)\n"
          "/dev/sdx: partition 2 (ext4) has grown by 10 MiB, which changes its file system: 1 of its " +
              std::to_string(result.grown->chunks) + " chunks differ, and are not counted\n");
    auto const grown = nlohmann::json::parse(packed_verify_json("/dev/sdx", image, result))["grown"];
    CHECK(grown ==
          nlohmann::json{
              {"partition", 2}, {"grown_by", 10 * mib}, {"chunks", result.grown->chunks}, {"differing_chunks", 1}});
}

TEST_CASE("bad extents of a partition that has moved are those of the device") {
    auto const image = sample_image();
    packed_verification result;
    auto placement = chunk_placement::make(image, {{0, 4 * mib, 0}, {4 * mib, 4 * mib, 7 * mib}});
    REQUIRE(placement);
    result.placement = *placement;
    result.found.differing = {image.index.chunks().size() - 1};
    CHECK_THAT(
        packed_verify_text("/dev/sdx", image, result),
        Catch::Contains("\noffset " + std::to_string(image.index.chunks().back().offset.value() + 7 * mib) + ","));
}
