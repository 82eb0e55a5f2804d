#include "core/image/old_signatures.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/device/file_block_device.hpp"
#include "core/foundation/error.hpp"
#include "support/fake_block_device.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;

namespace {

disk_signature mark(std::int64_t offset, std::int64_t length) {
    return {.type = "x", .offset = offset, .length = length};
}

std::vector<std::int64_t> outside(std::vector<disk_signature> const& signatures, std::vector<extent> extents) {
    std::vector<std::int64_t> offsets;
    for (auto const& signature : outside_image(signatures, extent_map::make(std::move(extents)).value())) {
        offsets.push_back(signature.offset);
    }
    return offsets;
}

} // namespace

TEST_CASE("a signature is outside the image if none of its bytes is in an extent") {
    using offsets = std::vector<std::int64_t>;
    std::vector<disk_signature> const signatures{mark(0, 8), mark(96, 4), mark(98, 4), mark(149, 2), mark(150, 8)};
    CHECK(outside(signatures, {{100, 50}}) == offsets{0, 96, 150});
    CHECK(outside(signatures, {{0, 1}, {100, 50}}) == offsets{96, 150});
    CHECK(outside(signatures, {{0, 1000}}).empty());
    CHECK(outside({mark(96, 4)}, {{0, 10}, {extent::padding, 200}, {300, 10}}) == offsets{96}); // padding is nowhere
    CHECK(outside({mark(5, 0)}, {{100, 50}}).empty());                                          // no mark to wipe
}

TEST_CASE("a signature with an area is wiped if any part of the area is outside the image") {
    auto const image = extent_map::make({{100, 50}, {extent::padding, 10}, {150, 50}, {300, 10}}).value();
    auto const area = [](std::int64_t offset, std::int64_t length) {
        return disk_signature{
            .type = "zfs_member", .offset = offset, .length = 1, .area_offset = offset, .area_length = length};
    };
    using offsets = std::vector<std::int64_t>;
    auto const wiped = [&](std::vector<disk_signature> const& signatures) {
        offsets found;
        for (auto const& signature : to_wipe(signatures, image)) {
            found.push_back(signature.offset);
        }
        return found;
    };
    CHECK(wiped({area(0, 50), area(50, 51), area(100, 100), area(120, 10), area(199, 2), area(295, 20)}) ==
          offsets{0, 50, 199, 295});
    CHECK(wiped({mark(96, 4), mark(96, 5), mark(300, 10)}) == offsets{96}); // without an area, as outside_image()
}

TEST_CASE("wiping overwrites the marks and the areas, and no byte of the image") {
    test::temp_dir const folder;
    auto const path = (folder / "device").string();
    std::ofstream(path) << std::string(10'000, 'x');
    auto const image = extent_map::make({{2'000, 1'000}, {extent::padding, 10}, {3'500, 500}}).value();
    {
        auto const device = open_block_device(path, {.writable = true});
        REQUIRE(device);
        REQUIRE(wipe_signature(**device, mark(10, 3), &image));
        REQUIRE(wipe_signature(**device, mark(9'998, 2), &image));
        auto whole = mark(3'100, 1);
        whole.area_offset = 1'900;
        whole.area_length = 2'200;
        REQUIRE(wipe_signature(**device, whole, &image));
        REQUIRE(wipe_signature(**device, mark(2'500, 2), nullptr)); // in the image
    }
    std::string expected(10'000, 'x');
    expected.replace(10, 3, 3, '\0').replace(9'998, 2, 2, '\0');
    expected.replace(1'900, 100, 100, '\0').replace(3'000, 500, 500, '\0').replace(4'000, 100, 100, '\0');
    expected.replace(2'500, 2, 2, '\0');
    std::ifstream in(path, std::ios::binary);
    CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == expected);

    auto const reader = open_block_device(path, {});
    REQUIRE(reader);
    auto const refused = wipe_signature(**reader, mark(0, 1), &image);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == EROFS);
}

TEST_CASE("a mark that cannot be wiped fails no later flush") {
    using device_operation = test::fake_block_device::operation;
    auto const image = extent_map::make({{4'096, 4'096}}).value();
    test::fake_block_device device(65'536);
    device.fail(device_operation::write, EIO, 0, 4'096);
    auto const unwritten = wipe_signature(device, mark(10, 3), &image);
    REQUIRE_FALSE(unwritten);
    CHECK(unwritten.error().operation == io_operation::write);
    CHECK(unwritten.error().offset == 10);
    device.fail(device_operation::flush, EIO, 0, test::fake_block_device::everything, 1);
    auto const lost = wipe_signature(device, mark(20'000, 3), &image);
    REQUIRE_FALSE(lost);
    CHECK(lost.error().operation == io_operation::flush);
    CHECK(device.flush());
}
