#include "core/image/packed_index.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

constexpr packed_geometry geometry{byte_count{64 << 20}, 512, 64 << 10};

packed_chunk zeros(std::int64_t offset, std::int32_t length) {
    return {device_offset{offset}, length, 0, chunk_method::zero};
}
packed_chunk stored(std::int64_t offset, std::int32_t length) {
    return {device_offset{offset}, length, length, chunk_method::stored, {std::byte{1}}};
}

packed_index index_of(std::vector<std::vector<packed_chunk>> const& pieces) {
    packed_index index;
    for (auto const& piece : pieces) {
        index.add_piece(piece);
    }
    return index;
}

std::string refusal(std::string const& bytes, std::int64_t pieces, std::int64_t most = 1000) {
    auto const parsed = packed_index::parse(bytes, geometry, pieces, most);
    return parsed ? "accepted" : parsed.error().message;
}

} // namespace

TEST_CASE("an index knows chunks, pieces and extents") {
    auto const made = index_of({{stored(0, 512), stored(512, 1024)}, {zeros(4096, 8192)}, {stored(12288, 512)}});
    auto const parsed = packed_index::parse(made.encode(), geometry, 3, 4);
    REQUIRE(parsed);
    CHECK(std::ranges::equal(parsed->chunks(), made.chunks()));
    CHECK(parsed->piece_count() == 3);
    CHECK(parsed->used() == byte_count{10240});
    CHECK(parsed->chunks_of(piece_index{0}).size() == 2);
    CHECK(parsed->chunks_of(piece_index{1})[0] == zeros(4096, 8192));
    CHECK(parsed->chunks_of(piece_index{3}).empty());
    CHECK(parsed->chunks_of(piece_index{-1}).empty());
    CHECK(parsed->piece_of(0) == piece_index{0});
    CHECK(parsed->piece_of(1) == piece_index{0});
    CHECK(parsed->piece_of(2) == piece_index{1});
    CHECK(parsed->piece_of(3) == piece_index{2});
    auto const extents = parsed->extents();
    REQUIRE(extents);
    CHECK(extents->extents() == std::vector<extent>{{0, 1536}, {4096, 8704}});
}

TEST_CASE("an index without pieces has no extents") {
    auto const parsed = packed_index::parse("", geometry, 0, 0);
    REQUIRE(parsed);
    CHECK_FALSE(parsed->extents());
}

TEST_CASE("indexes with false or contradictory values are refused") {
    auto const good = index_of({{stored(0, 512)}, {zeros(4096, 8192)}}).encode();
    CHECK(refusal(good, 2) == "accepted");
    CHECK(refusal(good, 3) == "piece 2: the index ends before it");
    CHECK(refusal(good, 1) == "40 bytes after the last piece");
    CHECK(refusal(good, 2, 1) == "80 bytes for 2 pieces of at most 1 chunks");
    CHECK(refusal(good.substr(0, good.size() - 1), 2) == "piece 1: 1 chunks, in an index that has 35 bytes left");
    CHECK(refusal(good + "x", 2) == "1 bytes after the last piece");
    CHECK(refusal("", 1) == "0 bytes for 1 pieces of at most 1000 chunks");
    auto none = good;
    none[0] = 0;
    CHECK(refusal(none, 2) == "piece 0: 0 chunks, in an index that has 76 bytes left");
    auto many = good;
    many[3] = '\xff';
    CHECK(refusal(many, 2) == "piece 0: 4278190081 chunks, in an index that has 76 bytes left");
    CHECK(refusal(index_of({{stored(512, 512)}, {stored(0, 512)}}).encode(), 2) ==
          "piece 1: chunk 0: begins at 0, before the end of the one before it, 1024");
    CHECK(refusal(index_of({{stored(0, 1024)}, {stored(512, 1024)}}).encode(), 2) ==
          "piece 1: chunk 0: begins at 512, before the end of the one before it, 1024");
    CHECK(refusal(index_of({{stored(512, 512), zeros(512, 512)}}).encode(), 1) ==
          "piece 0: chunk 1: begins at 512, before the end of the one before it, 1024");
    CHECK(refusal(index_of({{stored(0, 64 << 10)}}).encode(), 1) ==
          "piece 0: its chunks take 65596 bytes, a piece has 65536");
    CHECK(refusal(index_of({{stored(0, 512), zeros((64 << 20) - 512, 1024)}}).encode(), 1) ==
          "piece 0: chunk 1: offset 67108352, length 1024: ends beyond the source's 67108864 bytes");
}
