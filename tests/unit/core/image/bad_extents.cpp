#include "core/image/bad_extents.hpp"

#include <utility>

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
                                .info = nullptr};
    using list = std::vector<bad_extent>;
    CHECK(find_bad_extents(torrent, {}).empty());
    CHECK(find_bad_extents(torrent, {0}) == list{{1000, 100, 0, 0}});
    CHECK(find_bad_extents(torrent, {1}) == list{{1100, 50, 1, 1}, {2000, 50, 1, 1}});
    CHECK(find_bad_extents(torrent, {0, 1, 2}) == list{{1000, 150, 0, 1}, {2000, 150, 1, 2}});
    CHECK(find_bad_extents(torrent, {3}) == list{{2150, 70, 3, 3}});
    CHECK(find_bad_extents(torrent, {0, 2}) == list{{1000, 100, 0, 0}, {2050, 100, 2, 2}});
    CHECK(find_bad_extents(torrent, {4}) == list{{3000, 30, 4, 4}}); // shorter than a piece
}
