#include "core/image/extent_map.hpp"

#include <limits>
#include <random>
#include <utility>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

constexpr auto max_offset = std::numeric_limits<std::int64_t>::max();
constexpr auto pad = extent::padding;

extent_map map_of(std::vector<extent> extents) {
    auto map = extent_map::make(std::move(extents));
    INFO((map ? std::string() : map.error().message));
    REQUIRE(map);
    return *map;
}

std::string refusal(std::vector<extent> extents) {
    auto const map = extent_map::make(std::move(extents));
    REQUIRE_FALSE(map);
    return map.error().message;
}

std::vector<extent> slices(extent_map const& map, std::int64_t offset, std::int64_t length) {
    std::vector<extent> found;
    map.for_each_slice(torrent_offset{offset}, length, [&](extent const& slice) { found.push_back(slice); });
    return found;
}

using list = std::vector<extent>;

} // namespace

TEST_CASE("an extent map knows the image's size and the device's least size") {
    auto const map = map_of({{0, 512}, {4096, 1000}, {1 << 20, 24}});
    CHECK(map.total_size() == 1536);
    CHECK(map.device_end() == (1 << 20) + 24);
    CHECK(map.extents() == list{{0, 512}, {4096, 1000}, {1 << 20, 24}});
}

TEST_CASE("slices at the edges of extents") {
    auto const map = map_of({{100, 10}, {110, 5}, {1000, 20}});
    SECTION("first and last byte") {
        CHECK(slices(map, 0, 1) == list{{100, 1}});
        CHECK(slices(map, 34, 1) == list{{1019, 1}});
    }
    SECTION("the bytes on both sides of a boundary") {
        CHECK(slices(map, 9, 1) == list{{109, 1}});
        CHECK(slices(map, 10, 1) == list{{110, 1}});
        CHECK(slices(map, 14, 1) == list{{114, 1}});
        CHECK(slices(map, 15, 1) == list{{1000, 1}});
    }
    SECTION("a whole extent and no more") {
        CHECK(slices(map, 0, 10) == list{{100, 10}});
        CHECK(slices(map, 10, 5) == list{{110, 5}});
        CHECK(slices(map, 15, 20) == list{{1000, 20}});
    }
    SECTION("adjacent extents stay two slices") {
        CHECK(slices(map, 9, 2) == list{{109, 1}, {110, 1}});
    }
    SECTION("across a gap, from the middle to the middle") {
        CHECK(slices(map, 5, 20) == list{{105, 5}, {110, 5}, {1000, 10}});
    }
    SECTION("all of it") {
        CHECK(slices(map, 0, 35) == list{{100, 10}, {110, 5}, {1000, 20}});
    }
    SECTION("nothing, also at the very end") {
        CHECK(slices(map, 0, 0).empty());
        CHECK(slices(map, 12, 0).empty());
        CHECK(slices(map, 35, 0).empty());
    }
}

TEST_CASE("slices of padding have no offset on the device") {
    auto const map = map_of({{0, 10}, {pad, 6}, {10, 4}, {pad, 12}});
    CHECK(map.total_size() == 32);
    CHECK(map.device_end() == 14);
    CHECK(slices(map, 8, 12) == list{{8, 2}, {pad, 6}, {10, 4}});
    CHECK(slices(map, 12, 2) == list{{pad, 2}});
    CHECK(slices(map, 31, 1) == list{{pad, 1}});
}

TEST_CASE("one extent that reaches the last offset of 63 bits") {
    auto const map = map_of({{max_offset - 4096, 4096}});
    CHECK(map.device_end() == max_offset);
    CHECK(slices(map, 4095, 1) == list{{max_offset - 1, 1}});
    auto const largest = map_of({{0, max_offset}});
    CHECK(slices(largest, max_offset - 1, 1) == list{{max_offset - 1, 1}});
}

TEST_CASE("an extent map refuses invalid extents") {
    CHECK(refusal({}) == "no extent on the device");
    CHECK(refusal({{pad, 10}}) == "no extent on the device");
    CHECK(refusal({{0, 0}}) == "extent 1 (offset 0, length 0) has no length");
    CHECK(refusal({{0, 512}, {512, -1}}) == "extent 2 (offset 512, length -1) has no length");
    CHECK(refusal({{-2, 512}}) == "extent 1 (offset -2, length 512) has a negative offset");
    CHECK(refusal({{0, 512}, {511, 512}}) ==
          "extent 2 (offset 511, length 512) overlaps the one before it, which ends at 512");
    CHECK(refusal({{0, 512}, {0, 512}}) ==
          "extent 2 (offset 0, length 512) overlaps the one before it, which ends at 512");
    CHECK(refusal({{0, 512}, {4096, 512}, {1024, 512}, {0, 1}}) ==
          "extent 3 (offset 1024, length 512) is out of order: the one before it starts at 4096");
    CHECK(refusal({{4096, 512}, {pad, 100}, {4600, 512}}) ==
          "extent 3 (offset 4600, length 512) overlaps the one before it, which ends at 4608");
    CHECK(refusal({{max_offset - 10, 11}}) == "extent 1 (offset 9223372036854775797, length 11) ends beyond 63 bits");
    CHECK(refusal({{0, 1}, {pad, max_offset}}) ==
          "extent 2 (offset -1, length 9223372036854775807) makes the image larger than 63 bits can express");
}

TEST_CASE("slices agree with a model that knows every byte") {
    for (unsigned seed = 1; seed <= 40; ++seed) {
        CAPTURE(seed);
        std::mt19937 random(seed);
        auto const draw = [&](std::int64_t low, std::int64_t high) {
            return std::uniform_int_distribution<std::int64_t>(low, high)(random);
        };
        std::vector<extent> extents;
        std::vector<std::int64_t> model; // the device offset of every byte of the stream
        std::int64_t device = draw(0, 50);
        for (auto left = draw(1, 60); left > 0; --left) {
            auto const length = draw(1, 40);
            bool const padding = left > 1 && draw(0, 5) == 0;
            extents.push_back({padding ? pad : device, length});
            for (std::int64_t i = 0; i < length; ++i) {
                model.push_back(padding ? pad : device + i);
            }
            device += padding ? 0 : length + (draw(0, 2) == 0 ? 0 : draw(1, 100));
        }
        auto const map = map_of(extents);
        auto const size = static_cast<std::int64_t>(model.size());
        REQUIRE(map.total_size() == size);
        for (int round = 0; round < 300; ++round) {
            auto const offset = draw(0, size);
            auto const length = draw(0, size - offset);
            CAPTURE(offset, length);
            std::vector<std::int64_t> bytes;
            map.for_each_slice(torrent_offset{offset}, length, [&](extent const& slice) {
                REQUIRE(slice.length > 0);
                for (std::int64_t i = 0; i < slice.length; ++i) {
                    bytes.push_back(slice.device_offset == pad ? pad : slice.device_offset + i);
                }
            });
            REQUIRE(bytes == std::vector<std::int64_t>(model.begin() + offset, model.begin() + offset + length));
        }
    }
}
