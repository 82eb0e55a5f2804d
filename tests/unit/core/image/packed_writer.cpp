#include "core/image/packed_writer.hpp"

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>

#include <catch2/catch.hpp>

#include "core/image/packed_piece.hpp"
#include "support/packed_sample.hpp"

using namespace seedbed;

namespace {

constexpr std::size_t mib = 1 << 20;

std::vector<std::byte> random_bytes(std::size_t size) {
    std::mt19937 random(7);
    std::vector<std::byte> bytes(size);
    std::ranges::generate(bytes, [&] { return static_cast<std::byte>(random()); });
    return bytes;
}

std::int64_t padding_of(packed_sample const& made) {
    auto const image = made.image();
    auto padding = image.packed_size.value();
    for (std::int32_t piece = 0; piece < image.piece_count(); ++piece) {
        padding -= used_bytes(image.index.chunks_of(piece_index{piece}));
    }
    return padding;
}

/// Unpacks all pieces; bytes outside the image stay 0xee.
std::vector<std::byte> unpacked(packed_sample const& made) {
    auto const image = made.image();
    std::vector<std::byte> device(made.source.size(), std::byte{0xee});
    chunk_unpacker unpacker;
    for (std::int32_t number = 0; number < image.piece_count(); ++number) {
        auto const piece = made.piece(image, number);
        auto const chunks = check_piece(image, piece_index{number}, piece);
        REQUIRE(chunks);
        std::vector<std::byte> raw(static_cast<std::size_t>(unpacked_size(*chunks)));
        REQUIRE(unpack_piece(unpacker, piece, piece_index{number}, *chunks, raw));
        std::size_t at = 0;
        for (auto const& chunk : *chunks) {
            auto const to = std::span(device).subspan(static_cast<std::size_t>(chunk.offset.value()),
                                                      static_cast<std::size_t>(chunk.raw_length));
            if (chunk.method == chunk_method::zero) {
                std::ranges::fill(to, std::byte{});
                continue;
            }
            std::ranges::copy(std::span(raw).subspan(at, to.size()), to.begin());
            at += to.size();
        }
    }
    return device;
}

/// The joined contents of regular files below a folder.
std::vector<std::byte> contents_of(std::filesystem::path const& folder, std::size_t most) {
    std::vector<std::byte> bytes;
    std::error_code ec;
    std::filesystem::recursive_directory_iterator files(folder, ec);
    for (auto const end = std::filesystem::recursive_directory_iterator(); !ec && files != end; files.increment(ec)) {
        if (files->is_symlink() || !files->is_regular_file()) {
            continue;
        }
        std::ifstream in(files->path(), std::ios::binary);
        std::string const text{std::istreambuf_iterator<char>(in), {}};
        auto const* const begin = reinterpret_cast<std::byte const*>(text.data());
        bytes.insert(bytes.end(), begin, begin + text.size());
        bytes.resize((bytes.size() + 4095) / 4096 * 4096); // as a file system places them
        if (bytes.size() >= most) {
            bytes.resize(most);
            break;
        }
    }
    return bytes;
}

} // namespace

TEST_CASE("what is packed is unpacked again, byte for byte") {
    auto const piece_length = GENERATE(64 << 10, 1 << 20, 4 << 20);
    auto const made =
        make_packed_sample(mixed_bytes(24 * mib), {{512, 3 << 20}, {5 << 20, 512}, {7 << 20, 17 << 20}}, piece_length);
    auto const device = unpacked(made);
    std::vector<std::byte> expected(made.source.size(), std::byte{0xee});
    for (auto const& each : made.extents) {
        std::copy_n(made.source.begin() + each.device_offset, each.length, expected.begin() + each.device_offset);
    }
    CHECK(device == expected);
}

TEST_CASE("incompressible bytes leave almost no padding") {
    // A stored chunk of 256 KiB leaves a sixteenth of each piece of 4 MiB, unless it is split.
    auto const made = make_packed_sample(random_bytes(30 * mib), {{0, 30 * mib}}, 4 << 20);
    CHECK(padding_of(made) * 1000 < static_cast<std::int64_t>(made.file.size()));
}

TEST_CASE("real files leave less than 2 % of padding, in pieces of 4 MiB") {
    auto const bytes = contents_of("/usr/lib", 64 * mib);
    if (bytes.size() < 40 * mib) {
        WARN("/usr/lib holds too little on this machine");
        return;
    }
    auto const made = make_packed_sample(bytes, {{0, static_cast<std::int64_t>(bytes.size())}}, 4 << 20);
    auto const padding = padding_of(made);
    INFO(bytes.size() << " bytes packed into " << made.file.size() << ", of which padding " << padding);
    CHECK(padding * 50 < static_cast<std::int64_t>(made.file.size()));
}

TEST_CASE("adjacent zeros become one chunk") {
    packed_geometry const geometry{byte_count{std::int64_t{4} << 30}, 512, 1 << 20};
    packed_writer writer(geometry, chunk_packer(1),
                         [](piece_index, made_piece const&) { return std::vector<std::byte>(); });
    std::vector<std::byte> const zeros(256 << 10);
    chunk_packer packer(1);
    auto const add = [&](std::int64_t begin, std::int64_t end) {
        for (auto at = begin; at < end; at += static_cast<std::int64_t>(zeros.size())) {
            writer.add(packer.pack(device_offset{at}, zeros), zeros);
        }
    };
    add(0, std::int64_t{3} << 29);
    add(std::int64_t{2} << 30, (std::int64_t{2} << 30) + (1 << 20));
    writer.finish();
    auto const chunks = writer.index().chunks();
    REQUIRE(chunks.size() == 3);
    CHECK(chunks[0] == packed_chunk{device_offset{0}, 1 << 30, 0, chunk_method::zero});
    CHECK(chunks[1] == packed_chunk{device_offset{1 << 30}, 1 << 29, 0, chunk_method::zero});
    CHECK(chunks[2] == packed_chunk{device_offset{std::int64_t{2} << 30}, 1 << 20, 0, chunk_method::zero});
    CHECK(writer.packed_size() == payloads_begin(3));
}

TEST_CASE("a piece never unpacks to more than its limit") {
    std::vector<std::byte> const same(40 * mib, std::byte{7});
    auto const made = make_packed_sample(same, {{0, 40 * mib}}, 1 << 20);
    auto const image = made.image();
    CHECK(image.piece_count() == 3);
    for (std::int32_t piece = 0; piece < image.piece_count(); ++piece) {
        CHECK(unpacked_size(image.index.chunks_of(piece_index{piece})) <= 16 * static_cast<std::int64_t>(mib));
    }
}

TEST_CASE("bytes that hardly compress are stored") {
    chunk_packer packer(1);
    auto bytes = random_bytes(256 << 10);
    CHECK(packer.pack(device_offset{0}, bytes).chunk.method == chunk_method::stored);
    std::fill_n(bytes.begin(), 2 << 10, std::byte{}); // gains less than a sixty-fourth
    CHECK(packer.pack(device_offset{0}, bytes).chunk.method == chunk_method::stored);
    std::fill_n(bytes.begin(), 16 << 10, std::byte{});
    CHECK(packer.pack(device_offset{0}, bytes).chunk.method == chunk_method::zstd);
    CHECK(packer.pack(device_offset{0}, std::span(bytes).first(512)).chunk.method == chunk_method::zero);
}

TEST_CASE("a higher level packs smaller") {
    auto const bytes = contents_of("/usr/include", mib);
    REQUIRE(bytes.size() >= mib / 2);
    auto const raw = std::span(bytes).first(mib / 2);
    CHECK(chunk_packer(12).pack(device_offset{0}, raw).frame.size() <
          chunk_packer(1).pack(device_offset{0}, raw).frame.size());
}
