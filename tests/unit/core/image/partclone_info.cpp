#include "core/image/partclone_info.hpp"

#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>

#include <catch2/catch.hpp>

#include "support/temp_dir.hpp"

using namespace seedbed;

namespace {

constexpr std::int64_t mib = 1 << 20;

std::string hex(std::uint64_t value) {
    char text[33];
    REQUIRE(std::snprintf(text, sizeof(text), "%032llx", static_cast<unsigned long long>(value)) == 32);
    return text;
}

std::string extent_lines(std::uint64_t offset, std::uint64_t length) {
    return "offset: " + hex(offset) + "\nlength: " + hex(length) + "\n";
}

std::string hash_line(char digit = '7') {
    return "sha1: " + std::string(40, digit) + "\n";
}

std::string header(std::string const& block_size = "4096", std::string const& blocks = "16384") {
    return "block_size: " + block_size + "\nblocks_total: " + blocks + "\n";
}

partclone_info parse(std::string const& text) {
    auto info = parse_partclone_info(text, "torrent.info");
    INFO((info ? std::string() : info.error().message));
    REQUIRE(info);
    return *info;
}

/// The text after "torrent.info:".
std::string refusal(std::string const& text) {
    auto const info = parse_partclone_info(text, "torrent.info");
    REQUIRE_FALSE(info);
    REQUIRE(info.error().message.starts_with("torrent.info:"));
    CHECK(info.error().message.find('\n') == std::string::npos);
    return info.error().message.substr(13);
}

using list = std::vector<extent>;

} // namespace

TEST_CASE("extents and hashes in the order of the file, hashes late and several in a row") {
    auto const info = parse(header() + extent_lines(0, 9 * mib) + extent_lines(16 * mib, 9 * mib) + hash_line('1') +
                            extent_lines(32 * mib, 16 * mib) + hash_line('2') + hash_line('a'));
    CHECK(info.extents.extents() == list{{0, 9 * mib}, {16 * mib, 9 * mib}, {32 * mib, 16 * mib}});
    REQUIRE(info.hashes.size() == 3);
    CHECK(info.hashes[0][0] == 0x11);
    CHECK(info.hashes[1][19] == 0x22);
    CHECK(info.hashes[2][7] == static_cast<char>(0xaa));
}

TEST_CASE("bytes of a hash keep their order") {
    auto const info = parse(extent_lines(0, 1) + "sha1: 000102030405060708090A0b0c0d0e0f101112fF\n");
    for (int i = 0; i < 19; ++i) {
        CHECK(info.hashes[0][static_cast<std::size_t>(i)] == i);
    }
    CHECK(info.hashes[0][19] == static_cast<char>(0xff));
}

TEST_CASE("old partclone writes no header") {
    CHECK(parse(extent_lines(1024, 512) + hash_line()).extents.extents() == list{{1024, 512}});
}

TEST_CASE("a hash may appear between an offset and its length") {
    auto const info = parse("offset: " + hex(0) + "\n" + hash_line() + "length: " + hex(512) + "\n");
    CHECK(info.extents.extents() == list{{0, 512}});
}

TEST_CASE("the last line may lack its newline") {
    auto text = extent_lines(0, 512) + hash_line();
    text.pop_back();
    CHECK(parse(text).hashes.size() == 1);
    text.pop_back();
    CHECK(refusal(text) == "3: sha1 is not 40 hex digits");
}

TEST_CASE("the number of hashes must fit the sum of the lengths") {
    auto const piece = partclone_piece_length;
    CHECK(parse(extent_lines(0, piece) + hash_line()).hashes.size() == 1);
    CHECK(parse(extent_lines(0, piece + 1) + hash_line() + hash_line()).hashes.size() == 2);
    CHECK(refusal(extent_lines(0, piece) + hash_line() + hash_line()) ==
          " 2 sha1 lines, but 16777216 bytes in pieces of 16 MiB need 1");
    CHECK(refusal(extent_lines(0, piece + 1) + hash_line()) ==
          " 1 sha1 line, but 16777217 bytes in pieces of 16 MiB need 2");
    CHECK(refusal(extent_lines(0, 512)) == " 0 sha1 lines, but 512 bytes in pieces of 16 MiB need 1");
}

TEST_CASE("a capture of nothing") {
    CHECK(refusal("") == " no extent");
    CHECK(refusal(header()) == " no extent");
    CHECK(refusal(hash_line()) == " no extent");
    CHECK(refusal(header("512", "0")) == "2: blocks_total is not a positive whole number of at most 63 bits");
    CHECK(refusal(header("512", "0") + extent_lines(0, 512) + hash_line()) ==
          "2: blocks_total is not a positive whole number of at most 63 bits");
}

TEST_CASE("extents must lie within the file system") {
    CHECK(parse(header("512", "4") + extent_lines(1024, 1024) + hash_line()).extents.device_end() == 2048);
    CHECK(refusal(header("512", "4") + extent_lines(0, 512) + extent_lines(1024, 1025) + hash_line()) ==
          "6: the last extent ends at 2049, beyond the file system's 2048 bytes");
    CHECK(refusal(header("4294967296", "2147483648") + extent_lines(0, 512) + hash_line()) ==
          " block_size times blocks_total does not fit in 63 bits");
    CHECK(parse(header("4294967296", "2147483647") + extent_lines(0, 512) + hash_line()).hashes.size() == 1);
    CHECK(parse("block_size: 512\n" + extent_lines(0, 1024) + hash_line()).hashes.size() == 1);
}

TEST_CASE("headers") {
    auto const rest = extent_lines(0, 512) + hash_line();
    for (auto const* bad : {"", "-1", "+1", "0x10", "4k", "4096 ", " 4096", "9223372036854775808"}) {
        CAPTURE(bad);
        CHECK(refusal("block_size: " + std::string(bad) + "\n" + rest) ==
              "1: block_size is not a positive whole number of at most 63 bits");
    }
    CHECK(refusal("block_size: 512\nblock_size: 512\n" + rest) == "2: a second block_size");
    CHECK(refusal(header() + "blocks_total: 1\n" + rest) == "3: a second blocks_total");
}

TEST_CASE("offsets and lengths must come in pairs") {
    auto const offset = "offset: " + hex(512) + "\n";
    auto const length = "length: " + hex(512) + "\n";
    CHECK(refusal(length + offset) == "1: a length without an offset");
    CHECK(refusal(offset + offset + length + length) == "2: a second offset before the length of the first");
    CHECK(refusal(offset + length + length) == "3: a length without an offset");
    CHECK(refusal(offset + length + "offset: " + hex(4096) + "\n" + hash_line()) == "4: the last offset has no length");
}

TEST_CASE("extents must ascend and not overlap") {
    CHECK(parse(extent_lines(0, 512) + extent_lines(512, 512) + hash_line()).extents.total_size() == 1024);
    CHECK(refusal(extent_lines(0, 512) + extent_lines(511, 512) + hash_line()) ==
          "3: the extent starts at 511, before the end of the one before it, 512");
    CHECK(refusal(header() + extent_lines(4096, 512) + hash_line() + extent_lines(0, 512)) ==
          "6: the extent starts at 0, before the end of the one before it, 4608");
    CHECK(refusal(extent_lines(0, 0) + hash_line()) == "2: the extent has no length");
}

TEST_CASE("numbers that are not 63 bits in 32 digits") {
    auto const end = "\nlength: " + hex(1) + "\n" + hash_line();
    for (auto const& bad : {std::string(), std::string("0"), std::string(31, '0'), std::string(33, '0'),
                            std::string(31, '0') + "g", std::string(31, '0') + "A", "-" + std::string(31, '0'),
                            "0x" + std::string(30, '0'), std::string(31, '0') + " "}) {
        CAPTURE(bad);
        CHECK(refusal("offset: " + bad + end) == "1: offset is not 32 lowercase hex digits");
        CHECK(refusal("offset: " + hex(0) + "\nlength: " + bad + "\n") == "2: length is not 32 lowercase hex digits");
    }
    CHECK(refusal("offset: " + hex(1ULL << 63) + end) == "1: offset does not fit in 63 bits");
    CHECK(refusal("offset: " + std::string(32, 'f') + end) == "1: offset does not fit in 63 bits");
    CHECK(refusal("offset: " + hex(0x7fffffffffffffff) + end) == "2: the extent ends beyond 63 bits");
    CHECK(parse("offset: " + hex(0x7ffffffffffffffe) + end).extents.device_end() == 0x7fffffffffffffff);
}

TEST_CASE("malformed hashes") {
    auto const start = extent_lines(0, 512);
    CHECK(refusal(start + "sha1: " + std::string(39, '7') + "\n") == "3: sha1 is not 40 hex digits");
    CHECK(refusal(start + "sha1: " + std::string(64, '7') + "\n") == "3: sha1 is not 40 hex digits");
    CHECK(refusal(start + "sha1: " + std::string(39, '7') + "x\n") == "3: sha1 is not 40 hex digits");
    CHECK(refusal(start + hash_line('0')) == "3: sha1 is all zeros, which no piece has");
}

TEST_CASE("malformed lines") {
    auto const rest = extent_lines(0, 512) + hash_line();
    auto const keys = "expected block_size, blocks_total, offset, length or sha1 before the colon";
    CHECK(refusal("\n" + rest) == "1: expected 'KEY: VALUE'");
    CHECK(refusal(rest + "\n") == "4: expected 'KEY: VALUE'");
    CHECK(refusal("offset:" + hex(0) + "\n") == "1: expected 'KEY: VALUE'");
    CHECK(refusal("Offset: " + hex(0) + "\n") == std::string("1: ") + keys);
    CHECK(refusal(rest + "md5: 00\n") == std::string("4: ") + keys);
    CHECK(refusal(" offset: " + hex(0) + "\n") == std::string("1: ") + keys);
    CHECK(refusal("block_size: 512\r\n" + rest) == "1: the line ends in CR LF, and partclone writes LF");
    CHECK(refusal(std::string("\0\xff: \x1b\n", 5)) == std::string("1: ") + keys);
}

TEST_CASE("a torrent.info in a file") {
    test::temp_dir const folder;
    auto const path = folder / "torrent.info";
    CHECK(load_partclone_info(path).error().message == path.string() + ": No such file or directory (ENOENT)");
    std::ofstream(path) << header() << extent_lines(0, 512) << hash_line();
    CHECK(load_partclone_info(path)->extents.total_size() == 512);
    std::ofstream(path) << header() << "nonsense\n";
    CHECK(load_partclone_info(path).error().message == path.string() + ":3: expected 'KEY: VALUE'");
    CHECK(load_partclone_info(folder.path()).error().message == folder.path().string() + ": not a regular file");
}

// test_image "[.bench]" prints the cost of parsing; no assertion depends on the time.
TEST_CASE("parsing 300,000 extents", "[.bench]") {
    std::string text = header("4096", "100000000");
    constexpr std::uint64_t count = 300'000;
    for (std::uint64_t i = 0; i < count; ++i) {
        text += extent_lines(i * 131072, 65536);
        if (i % 256 == 255) {
            text += hash_line();
        }
    }
    text += hash_line();
    auto const start = std::chrono::steady_clock::now();
    auto const info = parse_partclone_info(text, "torrent.info");
    std::chrono::duration<double> const took = std::chrono::steady_clock::now() - start;
    REQUIRE(info);
    std::cout << count << " extents, " << text.size() << " bytes of torrent.info: " << took.count() << " s\n";
}
