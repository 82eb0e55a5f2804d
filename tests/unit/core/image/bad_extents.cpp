#include "core/image/bad_extents.hpp"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("bad extents: adjacent bad pieces are merged") {
    // Pieces of 100 bytes: 0 is [1000, 1100), 1 is [1100, 1150) and [2000, 2050), 2 and 3 are [2050, 2220), of which
    // the padding is excluded, 4 is [3000, 3030).
    auto extents = extent_map::make({{1000, 150}, {2000, 220}, {extent::padding, 30}, {3000, 30}}).value();
    image_torrent const torrent{.name = "",
                                .info_hash = {},
                                .piece_length = 100,
                                .piece_count = 5,
                                .v1 = true,
                                .extents = std::move(extents),
                                .traits = {},
                                .info = nullptr};
    auto const found = [&torrent](std::vector<std::int32_t> const& pieces) {
        std::vector<piece_index> bad;
        std::ranges::transform(pieces, std::back_inserter(bad), [](auto piece) { return piece_index{piece}; });
        return find_bad_extents(torrent, bad);
    };
    using list = std::vector<bad_extent>;
    auto const of = [](std::int64_t offset, std::int64_t length, std::int32_t first, std::int32_t last) {
        return bad_extent{offset, length, piece_index{first}, piece_index{last}};
    };
    CHECK(found({}).empty());
    CHECK(found({0}) == list{of(1000, 100, 0, 0)});
    CHECK(found({1}) == list{of(1100, 50, 1, 1), of(2000, 50, 1, 1)});
    CHECK(found({0, 1, 2}) == list{of(1000, 150, 0, 1), of(2000, 150, 1, 2)});
    CHECK(found({3}) == list{of(2150, 70, 3, 3)});
    CHECK(found({0, 2}) == list{of(1000, 100, 0, 0), of(2050, 100, 2, 2)});
    CHECK(found({4}) == list{of(3000, 30, 4, 4)}); // shorter than a piece
}
