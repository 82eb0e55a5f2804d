#include "core/image/first_piece.hpp"

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <libtorrent/hasher.hpp>

#include "support/temp_dir.hpp"

#include "bencoded_torrent.hpp"

using namespace seedbed;
using test::temp_dir;

namespace {

constexpr std::int64_t length_of_piece = 4 << 20;

/// A torrent of these files, with the SHA-1 of \p piece as that of its first piece.
image_torrent torrent_of(std::vector<test::torrent_file_entry> files, std::string const& piece) {
    test::v1_torrent made;
    made.piece_length = length_of_piece;
    made.files = std::move(files);
    auto bytes = made.bytes();
    auto const sum = libtorrent::hasher(piece.data(), static_cast<int>(piece.size())).final();
    auto const at = bytes.find(std::string(20, 'h'));
    REQUIRE(at != std::string::npos);
    bytes.replace(at, 20, sum.data(), 20);
    auto torrent = parse_image_torrent(bytes, "x");
    INFO((torrent ? std::string() : torrent.error().message));
    REQUIRE(torrent);
    return *torrent;
}

std::string pattern(std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; ++i) {
        bytes[i] = static_cast<char>(i * 7 + i / 4093);
    }
    return bytes;
}

} // namespace

TEST_CASE("a device begins with an image if it has the first piece of the image in place") {
    temp_dir const folder;
    auto const path = (folder / "disk").string();
    auto const write = [&](std::string const& bytes) { std::ofstream(path, std::ios::binary) << bytes; };
    auto const piece = pattern(static_cast<std::size_t>(length_of_piece));
    // 3 MiB from the start, and the rest of the piece after a gap.
    std::size_t const first = 3 << 20;
    std::size_t const second = 5 << 20;
    auto const torrent = torrent_of({{{"0"}, first, ""}, {{"500000"}, 2 * length_of_piece, ""}}, piece);
    std::string disk(16 << 20, 'x');
    disk.replace(0, first, piece, 0, first);
    disk.replace(second, piece.size() - first, piece, first);
    write(disk);
    CHECK(begins_with_first_piece(path, torrent));
    for (std::size_t const at : {std::size_t{0}, first - 1, second, second + piece.size() - first - 1}) {
        auto changed = disk;
        changed[at] = static_cast<char>(changed[at] + 1);
        write(changed);
        CHECK_FALSE(begins_with_first_piece(path, torrent));
    }
    auto elsewhere = disk;
    elsewhere[first] = 'y'; // outside the image
    write(elsewhere);
    CHECK(begins_with_first_piece(path, torrent));

    write(disk.substr(0, first)); // too short
    CHECK_FALSE(begins_with_first_piece(path, torrent));
    CHECK_FALSE(begins_with_first_piece(folder / "missing", torrent));
}

TEST_CASE("an image that leaves out the device's first bytes says nothing about them") {
    temp_dir const folder;
    std::ofstream(folder / "disk") << std::string(1 << 20, '\0');
    auto const all = torrent_of({{{"0"}, 1 << 19, ""}}, std::string(1 << 19, '\0'));
    auto const rest = torrent_of({{{"1000"}, 1 << 19, ""}}, std::string(1 << 19, '\0'));
    CHECK(begins_with_first_piece(folder / "disk", all));
    CHECK_FALSE(begins_with_first_piece(folder / "disk", rest));
}
