#include "core/image/packed_piece.hpp"

#include <cstring>
#include <functional>
#include <numeric>
#include <utility>

#include <catch2/catch.hpp>
#include <zstd.h>

#include "core/image/little_endian.hpp"
#include "support/packed_sample.hpp"

using namespace seedbed;

namespace {

constexpr std::size_t entry = packed_header_size; ///< where the first entry begins

/// One piece of an image with stored, compressed and zero chunks.
struct fixture {
    packed_sample sample = make_packed_sample(mixed_bytes(6 << 20), {{0, 1 << 20}, {2 << 20, 4 << 20}});
    packed_image image = sample.image();
    std::vector<std::byte> piece = [this] {
        auto const bytes = sample.piece(image, 1);
        return std::vector<std::byte>(bytes.begin(), bytes.end());
    }();

    [[nodiscard]] std::string refusal() const {
        auto const read = read_piece(piece, piece_index{1}, image.geometry);
        return read ? "accepted" : read.error().message;
    }
    void put(std::size_t at, std::uint64_t value, std::size_t size) {
        for (std::size_t i = 0; i < size; ++i) {
            piece[at + i] = static_cast<std::byte>(value >> (8 * i));
        }
    }
    [[nodiscard]] std::size_t used() const { return little_endian_at<std::uint32_t>(piece, 20); }
};

result<void> unpack(fixture const& from, std::vector<std::byte>& raw) {
    auto const chunks = from.image.index.chunks_of(piece_index{1});
    raw.resize(static_cast<std::size_t>(unpacked_size(chunks)));
    chunk_unpacker unpacker;
    return unpack_piece(unpacker, from.piece, piece_index{1}, chunks, raw);
}

/// The position of the first payload of a chunk with this method, and its entry.
std::pair<std::size_t, std::size_t> find_chunk(fixture const& in, chunk_method method) {
    auto const chunks = in.image.index.chunks_of(piece_index{1});
    auto payload = static_cast<std::size_t>(payloads_begin(chunks.size()));
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        if (chunks[i].method == method) {
            return {payload, static_cast<std::size_t>(payloads_begin(i))};
        }
        payload += static_cast<std::size_t>(chunks[i].packed_length);
    }
    FAIL("the sample has no such chunk");
    return {};
}

} // namespace

TEST_CASE("the head of a piece, byte for byte") {
    std::vector<packed_chunk> const chunks{{device_offset{0}, 512, 0, chunk_method::zero},
                                           {device_offset{512}, 512, 100, chunk_method::zstd}};
    auto const head = encode_piece_head(piece_index{7}, chunks);
    CHECK(head.substr(0, 24) == std::string("SBPIECE\n"
                                            "\x01\x00"
                                            "\x18\x00"
                                            "\x07\x00\x00\x00"
                                            "\x02\x00\x00\x00"
                                            "\xc4\x00\x00\x00",
                                            24));
    CHECK(head.size() == 24 + 2 * 36);
}

TEST_CASE("a piece is unpacked without any other piece") {
    fixture const made;
    auto const chunks = read_piece(made.piece, piece_index{1}, made.image.geometry);
    REQUIRE(chunks);
    CHECK(std::ranges::equal(*chunks, made.image.index.chunks_of(piece_index{1})));
    std::vector<std::byte> raw;
    REQUIRE(unpack(made, raw));
    std::size_t at = 0;
    for (auto const& chunk : *chunks) {
        auto const length = static_cast<std::size_t>(chunk.raw_length);
        auto const* const source = made.sample.source.data() + chunk.offset.value();
        if (chunk.method == chunk_method::zero) {
            CHECK(is_zero({source, length}));
            continue;
        }
        CHECK(std::memcmp(raw.data() + at, source, length) == 0);
        at += length;
    }
    CHECK(at == raw.size());
}

TEST_CASE("pieces with wrong headers are refused") {
    fixture made;
    auto const original = made.piece;
    auto const [field, value, size, expected] =
        GENERATE_COPY(table<std::size_t, std::uint64_t, std::size_t, std::string>(
            {{0, 'X', 1, "piece 1: not a piece of a packed image"},
             {8, 2, 2, "piece 1: has version 2 of the format; this program reads version 1"},
             {10, 32, 2, "piece 1: a header of 32 bytes"},
             {12, 2, 4, "piece 1: its header is that of piece 2"},
             {12, 0x10001, 4, "piece 1: its header is that of piece 65537"},
             {16, 0, 4, "piece 1: a table of 0 chunks in"},
             {16, 0xffffffff, 4, "piece 1: a table of 4294967295 chunks in"},
             {20, 0, 4, " chunks in 0 bytes"},
             {20, (1 << 20) + 1, 4, "piece 1: its 1048577 bytes do not fit into 1048576"}}));
    made.put(field, value, size);
    CHECK_THAT(made.refusal(), Catch::Contains(expected));
    made.piece = original;
    CHECK(made.refusal() == "accepted");
}

TEST_CASE("a piece with false lengths or order is refused") {
    fixture made;
    SECTION("it is shorter than its header") {
        made.piece.resize(23);
        CHECK(made.refusal() == "piece 1: not a piece of a packed image");
    }
    SECTION("it is cut short") {
        made.piece.resize(made.used() - 1);
        CHECK_THAT(made.refusal(), Catch::Contains("do not fit into"));
    }
    SECTION("one byte more than its chunks") {
        made.put(20, made.used() + 1, 4);
        CHECK_THAT(made.refusal(), Catch::Contains("its header states"));
    }
    SECTION("a chunk begins in the one before it") {
        auto const offset = little_endian_at<std::uint64_t>(made.piece, entry);
        made.put(entry + 36, offset + 512, 8);
        CHECK_THAT(made.refusal(), Catch::Contains("piece 1: chunk 1: begins at ") &&
                                       Catch::Contains("before the end of the one before it"));
    }
    SECTION("a chunk lies beyond the source") {
        made.put(entry, 6 << 20, 8);
        CHECK_THAT(made.refusal(), Catch::Contains("piece 1: chunk 0: offset 6291456, length ") &&
                                       Catch::Contains(": ends beyond the source's 6291456 bytes"));
    }
    SECTION("its padding holds something") {
        REQUIRE(made.used() < made.piece.size());
        made.piece.back() = std::byte{1};
        CHECK(made.refusal() == "piece 1: its padding is not zero");
    }
}

TEST_CASE("a table of more raw bytes than a piece may hold is refused") {
    // A megabyte of the same byte takes some fifty bytes: 17 of them are more than 16 times a piece of 1 MiB.
    std::vector<std::byte> const raw(1 << 20, std::byte{7});
    chunk_packer packer(1);
    std::vector<packed_chunk> chunks;
    std::vector<std::byte> payloads;
    for (std::int64_t i = 0; i < 17; ++i) {
        auto const made = packer.pack(device_offset{i << 20}, raw);
        REQUIRE(made.chunk.method == chunk_method::zstd);
        chunks.push_back(made.chunk);
        payloads.insert(payloads.end(), made.frame.begin(), made.frame.end());
    }
    auto const piece_of = [&](std::size_t count) {
        auto const head = encode_piece_head(piece_index{0}, std::span(chunks).first(count));
        std::vector<std::byte> piece(1 << 20);
        std::memcpy(piece.data(), head.data(), head.size());
        auto const size = payloads.size() / chunks.size() * count;
        std::copy_n(payloads.begin(), size, piece.begin() + static_cast<std::ptrdiff_t>(head.size()));
        return read_piece(piece, piece_index{0}, {byte_count{64 << 20}, 512, 1 << 20});
    };
    CHECK(piece_of(16));
    auto const refused = piece_of(17);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "piece 0: would unpack to 17825792 bytes, more than 16 times the piece length");
}

TEST_CASE("payloads that do not match their entries are refused") {
    fixture made;
    std::vector<std::byte> raw;
    auto const refusal = [&] {
        auto const unpacked = unpack(made, raw);
        return unpacked ? "accepted" : unpacked.error().message;
    };
    CHECK(refusal() == "accepted");
    SECTION("a byte of a stored chunk differs") {
        auto const [payload, at] = find_chunk(made, chunk_method::stored);
        made.piece[payload + 5] ^= std::byte{1};
        CHECK_THAT(refusal(), Catch::Contains(": its bytes do not match its XXH3"));
    }
    SECTION("a payload is not a frame") {
        auto const [payload, at] = find_chunk(made, chunk_method::zstd);
        made.piece[payload] ^= std::byte{1};
        CHECK_THAT(refusal(), Catch::Contains(": its payload is not one zstd frame of 262144 bytes"));
    }
    SECTION("a frame is damaged within") {
        auto const [payload, at] = find_chunk(made, chunk_method::zstd);
        // In the middle of the compressed data: either no longer decompressible, or to other bytes.
        made.piece[payload + 1000] ^= std::byte{0xff};
        CHECK_THAT(refusal(), Catch::StartsWith("piece 1: chunk ") && (Catch::Contains("cannot be decompressed: ") ||
                                                                       Catch::Contains("do not match its XXH3")));
    }
}

TEST_CASE("a chunk is exactly one frame of exactly its length") {
    std::vector<std::byte> const raw(8192, std::byte{7});
    chunk_packer packer(1);
    auto made = packer.pack(device_offset{0}, raw);
    REQUIRE(made.chunk.method == chunk_method::zstd);
    chunk_unpacker unpacker;
    std::vector<std::byte> to(raw.size());
    auto const refusal = [&] {
        made.chunk.packed_length = static_cast<std::int32_t>(made.frame.size());
        made.chunk.raw_length = static_cast<std::int32_t>(to.size());
        auto const unpacked = unpacker.unpack(made.chunk, made.frame, to);
        return unpacked ? "accepted" : unpacked.error().message;
    };
    CHECK(refusal() == "accepted");
    CHECK(to == raw);
    SECTION("a frame of more bytes") {
        to.resize(4096);
        CHECK(refusal() == "its payload is not one zstd frame of 4096 bytes");
    }
    SECTION("a frame of fewer bytes") {
        to.resize(8704);
        CHECK(refusal() == "its payload is not one zstd frame of 8704 bytes");
    }
    SECTION("a second frame after it") {
        made.frame.insert(made.frame.end(), made.frame.begin(), made.frame.end());
        CHECK(refusal() == "its payload is not one zstd frame of 8192 bytes");
    }
    SECTION("a frame cut short") {
        made.frame.pop_back();
        CHECK(refusal() == "its payload is not one zstd frame of 8192 bytes");
    }
    SECTION("a frame that does not state its size") {
        std::unique_ptr<ZSTD_CCtx, std::size_t (*)(ZSTD_CCtx*)> const context(ZSTD_createCCtx(), ZSTD_freeCCtx);
        ZSTD_CCtx_setParameter(context.get(), ZSTD_c_contentSizeFlag, 0);
        made.frame.resize(1000);
        made.frame.resize(ZSTD_compress2(context.get(), made.frame.data(), made.frame.size(), raw.data(), raw.size()));
        CHECK(refusal() == "its payload is not one zstd frame of 8192 bytes");
    }
}
