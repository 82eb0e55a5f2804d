#include "core/image/block_layout.hpp"

#include <cstdint>
#include <limits>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

constexpr auto mib = byte_count{1 << 20};

constexpr block_position block(std::int32_t piece, std::int32_t number) {
    return {piece_index{piece}, block_in_piece{number}};
}

constexpr block_range blocks(std::int32_t begin, std::int32_t end) {
    return {block_in_piece{begin}, block_in_piece{end}};
}

constexpr piece_range pieces(std::int32_t begin, std::int32_t end) {
    return {piece_index{begin}, piece_index{end}};
}

// Usable in constant expressions.
static_assert(block_layout(3 * mib, mib).block_count(piece_index{2}) == 64);

/// The invariants of every layout, checked block by block.
void check_tiling(block_layout const& layout) {
    std::int64_t next = 0;
    for (piece_index piece; piece.value() < layout.piece_count(); ++piece) {
        REQUIRE(layout.begin_of(piece).value() == next);
        REQUIRE(layout.block_count(piece) <= layout.most_blocks());
        std::int64_t in_piece = 0;
        for (block_in_piece number; number.value() < layout.block_count(piece); ++number) {
            auto const length = layout.block_length({piece, number});
            REQUIRE(layout.begin_of({piece, number}).value() == next);
            REQUIRE(length > byte_count{});
            REQUIRE(length <= byte_count{block_size});
            REQUIRE(layout.block_at(torrent_offset{next}) == block_position{piece, number});
            next += length.value();
            REQUIRE(layout.block_at(torrent_offset{next - 1}) == block_position{piece, number});
            in_piece += length.value();
        }
        REQUIRE(layout.piece_size(piece).value() == in_piece);
    }
    CHECK(next == layout.total_size().value());
}

} // namespace

TEST_CASE("a layout of an exact multiple has pieces and blocks of one size") {
    block_layout const layout(4 * mib, mib);
    CHECK(layout.piece_count() == 4);
    CHECK(layout.piece_size(piece_index{0}) == mib);
    CHECK(layout.piece_size(piece_index{3}) == mib);
    CHECK(layout.most_blocks() == 64);
    CHECK(layout.block_count(piece_index{3}) == 64);
    CHECK(layout.block_length(block(3, 63)) == byte_count{block_size});
    check_tiling(layout);
}

TEST_CASE("the last piece and its last block have the rest") {
    block_layout const layout(2 * mib + byte_count{block_size + 1}, mib);
    CHECK(layout.piece_count() == 3);
    CHECK(layout.piece_size(piece_index{1}) == mib);
    CHECK(layout.piece_size(piece_index{2}) == byte_count{block_size + 1});
    CHECK(layout.block_count(piece_index{1}) == 64);
    CHECK(layout.block_count(piece_index{2}) == 2);
    CHECK(layout.block_length(block(1, 63)) == byte_count{block_size});
    CHECK(layout.block_length(block(2, 0)) == byte_count{block_size});
    CHECK(layout.block_length(block(2, 1)) == byte_count{1});
    check_tiling(layout);
}

TEST_CASE("if the piece length is not a multiple of a block, every piece ends with a short block") {
    block_layout const layout(byte_count{100'001}, byte_count{40'000});
    CHECK(layout.piece_count() == 3);
    CHECK(layout.most_blocks() == 3);
    CHECK(layout.block_length(block(0, 2)) == byte_count{40'000 - 2 * block_size});
    CHECK(layout.begin_of(block(1, 0)) == torrent_offset{40'000});
    CHECK(layout.begin_of(block(2, 1)) == torrent_offset{80'000 + block_size});
    CHECK(layout.block_length(block(2, 1)) == byte_count{20'001 - block_size});
    CHECK(layout.block_at(torrent_offset{39'999}) == block(0, 2));
    CHECK(layout.block_at(torrent_offset{40'000}) == block(1, 0));
    check_tiling(layout);
}

TEST_CASE("a stream that is shorter than a piece or a block is one of each") {
    block_layout const layout(byte_count{1}, 16 * mib);
    CHECK(layout.piece_count() == 1);
    CHECK(layout.piece_size(piece_index{0}) == byte_count{1});
    CHECK(layout.block_count(piece_index{0}) == 1);
    CHECK(layout.block_length(block(0, 0)) == byte_count{1});
    check_tiling(layout);
    check_tiling(block_layout(byte_count{7}, byte_count{3}));
}

TEST_CASE("a stream of no bytes has neither pieces nor blocks") {
    block_layout const layout(byte_count{0}, mib);
    CHECK(layout.piece_count() == 0);
    CHECK(layout.piece_size(piece_index{0}) == byte_count{});
    CHECK(layout.block_count(piece_index{0}) == 0);
    CHECK(layout.block_length(block(0, 0)) == byte_count{});
    CHECK(layout.pieces_of(torrent_offset{0}, byte_count{0}).size() == 0);
}

TEST_CASE("pieces and blocks beyond the end have no bytes") {
    block_layout const layout(mib + byte_count{1}, mib);
    CHECK(layout.piece_size(piece_index{2}) == byte_count{});
    CHECK(layout.block_count(piece_index{2}) == 0);
    CHECK(layout.block_length(block(1, 1)) == byte_count{});
    CHECK(layout.block_length(block(0, 64)) == byte_count{});
    CHECK(layout.block_length(block(std::numeric_limits<std::int32_t>::max(), 0)) == byte_count{});
}

TEST_CASE("a layout beyond 32 bits is exact") {
    // 10 TiB and a byte, in pieces of 16 MiB: none of its products fits 32 bits.
    block_layout const layout(byte_count{(10LL << 40) + 1}, 16 * mib);
    CHECK(layout.piece_count() == 655'361);
    auto const last = piece_index{655'360};
    CHECK(layout.begin_of(last) == torrent_offset{10LL << 40});
    CHECK(layout.piece_size(last) == byte_count{1});
    CHECK(layout.piece_size(last - 1) == 16 * mib);
    CHECK(layout.piece_at(torrent_offset{10LL << 40}) == last);
    CHECK(layout.block_at(torrent_offset{(10LL << 40) - 1}) == block(655'359, 1023));
    CHECK(layout.begin_of(block(655'359, 1023)) == torrent_offset{(10LL << 40) - block_size});
    CHECK(block_layout(byte_count{(4LL << 30) + 5}, byte_count{1 << 30}).piece_size(piece_index{4}) == byte_count{5});
}

TEST_CASE("a layout of the largest size counts its pieces without overflow") {
    constexpr auto largest = byte_count{std::numeric_limits<std::int64_t>::max()};
    CHECK(block_layout(largest, 16 * mib).piece_count() == 1LL << 39);
    CHECK(block_layout(largest, byte_count{1}).piece_count() == largest.value());
}

TEST_CASE("the blocks that bytes of a piece touch") {
    CHECK(blocks_for(byte_count{0}) == 0);
    CHECK(blocks_for(byte_count{1}) == 1);
    CHECK(blocks_for(byte_count{block_size}) == 1);
    CHECK(blocks_for(byte_count{block_size + 1}) == 2);
    CHECK(begin_of(block_in_piece{3}) == byte_count{3 * block_size});
    CHECK(begin_of(block_in_piece{200'000}) == byte_count{200'000LL * block_size});
    CHECK(block_at(byte_count{3 * block_size - 1}) == block_in_piece{2});
    CHECK(block_at(byte_count{3 * block_size}) == block_in_piece{3});
    CHECK(blocks_of(byte_count{0}, byte_count{block_size}) == blocks(0, 1));
    CHECK(blocks_of(byte_count{1}, byte_count{block_size}) == blocks(0, 2));
    CHECK(blocks_of(byte_count{block_size}, byte_count{1}) == blocks(1, 2));
    CHECK(blocks_of(byte_count{block_size - 1}, byte_count{2}) == blocks(0, 2));
    CHECK(blocks_of(byte_count{2 * block_size}, byte_count{0}).size() == 0);
}

TEST_CASE("the pieces that bytes of the stream touch") {
    block_layout const layout(3 * mib + byte_count{1}, mib);
    CHECK(layout.pieces_of(torrent_offset{0}, mib) == pieces(0, 1));
    CHECK(layout.pieces_of(torrent_offset{1}, mib) == pieces(0, 2));
    CHECK(layout.pieces_of(torrent_offset{0}, layout.total_size()) == pieces(0, 4));
    CHECK(layout.pieces_of(torrent_offset{(3 << 20) - 1}, byte_count{2}) == pieces(2, 4));
    CHECK(layout.pieces_of(torrent_offset{1 << 20}, byte_count{0}).size() == 0);
}
