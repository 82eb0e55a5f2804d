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

TEST_CASE("a signature is outside of the image if none of its bytes is in an extent") {
    using offsets = std::vector<std::int64_t>;
    std::vector<disk_signature> const signatures{mark(0, 8), mark(96, 4), mark(98, 4), mark(149, 2), mark(150, 8)};
    CHECK(outside(signatures, {{100, 50}}) == offsets{0, 96, 150});
    CHECK(outside(signatures, {{0, 1}, {100, 50}}) == offsets{96, 150});
    CHECK(outside(signatures, {{0, 1000}}).empty());
    CHECK(outside({mark(96, 4)}, {{0, 10}, {extent::padding, 200}, {300, 10}}) == offsets{96}); // padding is nowhere
    CHECK(outside({mark(5, 0)}, {{100, 50}}).empty());                                          // no mark to wipe
}

TEST_CASE("wiping overwrites the marks and nothing else") {
    test::temp_dir const folder;
    auto const path = (folder / "device").string();
    std::ofstream(path) << std::string(10'000, 'x');
    {
        auto const device = open_block_device(path, {.writable = true});
        REQUIRE(device);
        REQUIRE(wipe_signatures(**device, std::vector{mark(10, 3), mark(9'998, 2)}));
    }
    std::string expected(10'000, 'x');
    expected.replace(10, 3, 3, '\0').replace(9'998, 2, 2, '\0');
    std::ifstream in(path, std::ios::binary);
    CHECK(std::string(std::istreambuf_iterator<char>(in), {}) == expected);

    auto const reader = open_block_device(path, {});
    REQUIRE(reader);
    CHECK(wipe_signatures(**reader, {}));
    auto const refused = wipe_signatures(**reader, std::vector{mark(0, 1)});
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code == EROFS);
}
