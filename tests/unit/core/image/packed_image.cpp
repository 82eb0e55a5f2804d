#include "core/image/packed_image.hpp"

#include <cstring>

#include <catch2/catch.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/image/image_torrent.hpp"
#include "core/image/packed_piece.hpp"
#include "support/packed_sample.hpp"

using namespace seedbed;

namespace {

packed_sample small_sample() {
    return make_packed_sample(mixed_bytes(6 << 20), {{0, 1 << 20}, {2 << 20, 4 << 20}});
}

std::string refusal(std::string const& bytes, packed_image_limits const& limits = {}) {
    auto const parsed = parse_packed_image(bytes, "x.torrent", limits);
    return parsed ? "accepted" : parsed.error().message;
}

/// Replaces the first \p from, which must be there, by \p to of the same length.
std::string replaced(std::string text, std::string const& from, std::string const& to) {
    auto const at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("the torrent of a packed image states everything except the bytes") {
    auto const made = small_sample();
    auto const image = made.image();
    CHECK(image.name == "sda1.sbi");
    CHECK(image.info_hash == made.torrent.info_hash);
    CHECK(image.packed_size.value() == static_cast<std::int64_t>(made.file.size()));
    CHECK(image.geometry == packed_geometry{byte_count{6 << 20}, 512, 1 << 20});
    CHECK(image.description.kind == image_kind::partition);
    CHECK(image.description.content == "ext4");
    CHECK(image.description.used == byte_count{5 << 20});
    auto const extents = image.index.extents();
    REQUIRE(extents);
    CHECK(extents->extents() == made.extents);
    for (std::int32_t piece = 0; piece < image.piece_count(); ++piece) {
        sha1_sum sum;
        sum.update(made.piece(image, piece));
        CHECK(image.hash_of(piece_index{piece}) == sum.final());
        auto const chunks = check_piece(image, piece_index{piece}, made.piece(image, piece));
        INFO((chunks ? std::string() : chunks.error().message));
        CHECK(chunks);
    }
}

TEST_CASE("any client can load the torrent of a packed image") {
    auto const made = small_sample();
    lt::torrent_info const info(lt::span<char const>(made.torrent.bytes), lt::from_span);
    CHECK(info.num_files() == 1);
    CHECK(info.files().file_path(lt::file_index_t{0}) == "sda1.sbi");
    CHECK(info.total_size() == static_cast<std::int64_t>(made.file.size()));
    CHECK(info.info_hashes().has_v1());
    CHECK_FALSE(info.info_hashes().has_v2());
}

TEST_CASE("the same input gives the same torrent") {
    CHECK(small_sample().torrent.bytes == small_sample().torrent.bytes);
}

TEST_CASE("packed and raw images are not mistaken for each other") {
    auto const made = small_sample();
    CHECK(is_packed_torrent(made.torrent.bytes));
    CHECK_FALSE(parse_image_torrent(made.torrent.bytes, "x"));
    torrent_details details;
    details.name = "sda1";
    details.piece_length = 16384;
    auto const raw = make_torrent(*extent_map::make({{0, 512}}), {sha1_digest{'h'}}, details);
    REQUIRE(raw);
    CHECK_FALSE(is_packed_torrent(raw->bytes));
    CHECK(refusal(raw->bytes) == "x.torrent: not the torrent of a packed image");
    CHECK_FALSE(is_packed_torrent(""));
    CHECK_FALSE(is_packed_torrent("garbage"));
    CHECK_FALSE(is_packed_torrent("d4:infoi1ee"));
}

TEST_CASE("a damaged index is refused") {
    auto const made = small_sample();
    auto const begin = made.torrent.bytes.find("13:seedbed index");
    REQUIRE(begin != std::string::npos);
    auto damaged = made.torrent.bytes;
    damaged[damaged.size() - 5] ^= 1;
    CHECK(refusal(damaged) == "x.torrent: its index is damaged: the SHA-256 differs");
    CHECK(refusal(made.torrent.bytes.substr(0, begin) + "e") == "x.torrent: its index is missing");
}

TEST_CASE("torrents that do not fit the format are refused") {
    auto const good = small_sample().torrent.bytes;
    CHECK(refusal(good) == "accepted");
    CHECK(refusal(replaced(good, "8:sda1.sbi", "8:sda1.sbj")) ==
          "x.torrent: the torrent of a packed image has one file, whose name ends in .sbi");
    CHECK(refusal(replaced(good, "7:versioni1e", "7:versioni2e")) ==
          "x.torrent: description: has version 2 of the format; this program reads version 1");
    CHECK(refusal(replaced(good, "7:seedbed", "7:seedbee")) == "x.torrent: not the torrent of a packed image");
    CHECK(refusal(replaced(good, "6:sectori512e", "6:sectori513e")) ==
          "x.torrent: description: a sector size of 513 bytes: expected 512, 1024, 2048 or 4096");
    CHECK(refusal(replaced(good, "4:usedi5242880e", "4:usedi5242368e")) ==
          "x.torrent: index: its chunks have 5242880 bytes, the description states 5242368");
    CHECK(refusal(replaced(good, "4:usedi5242880e", "4:usedi9242880e")) ==
          R"(x.torrent: description: "used" is more than the source's 6291456 bytes)");
    CHECK(refusal(replaced(good, "4:sizei6291456e", "4:sizei6290944e"))
              .find(": ends beyond the source's 6290944 bytes") != std::string::npos);
    CHECK(refusal(replaced(good, "4:kind9:partition", "4:kind9:partitiom")) ==
          R"(x.torrent: description: "kind" is missing, or neither "disk" nor "partition")");
    CHECK(refusal(good, {1000}) == "x.torrent: larger than the limit");
    CHECK_THAT(refusal(good, {256 << 20, 1}),
               Catch::Contains("x.torrent: index: ") && Catch::Contains("of at most 1 chunks"));
    CHECK(refusal(good, {256 << 20, 1000, 1}).starts_with("x.torrent: not a usable torrent: "));
}

TEST_CASE("a description with wrong values is refused") {
    auto const refused = [](std::string const& text) {
        auto const decoded = decode_description(text);
        return decoded ? "accepted" : decoded.error().message;
    };
    auto const with = [](std::string const& label) {
        return "d5:index32:" + std::string(32, 'i') + "4:kind4:disk5:label" + std::to_string(label.size()) + ":" +
               label + "6:sectori512e4:sizei1024e4:usedi512e7:versioni1ee";
    };
    CHECK(refused(with("")) == "accepted");
    CHECK(refused(with(std::string(1024, 'l'))) == "accepted");
    CHECK(refused(with(std::string(1025, 'l'))) == R"("label" has 1025 bytes, more than 1024)");
    CHECK(refused(replaced(with(""), "5:index32:", "5:indey32:")) == R"("index" is missing, or not a SHA-256)");
    CHECK(refused(replaced(with(""), "4:sizei1024e", "4:sizei-124e")) ==
          R"("size" is missing, or not a positive number)");
    CHECK(refused(replaced(with(""), "4:sizei1024e", "4:size4:1024")) ==
          R"("size" is missing, or not a positive number)");
    auto const with_level = [&](std::string const& value) {
        return refused(replaced(with(""), "6:sector", "5:level" + value + "6:sector"));
    };
    CHECK(with_level("i1e") == "accepted");
    CHECK(with_level("i19e") == "accepted");
    for (auto const* const value : {"i0e", "i20e", "i-1e", "1:1", "le"}) {
        CHECK(with_level(value) == R"("level" is not a number from 1 to 19)");
    }
    CHECK(refused(std::string(17, 'l') + std::string(17, 'e')) == "not a bencoded dictionary");
    CHECK(refused("") == "not a bencoded dictionary");
}

TEST_CASE("a disk's description holds its layout") {
    packed_description made;
    made.kind = image_kind::disk;
    made.source_size = byte_count{64 << 20};
    made.sector_size = 512;
    made.used = byte_count{512};
    disk_layout layout;
    layout.table = table_type::mbr;
    layout.id = "0123abcd";
    layout.disk_size = 64 << 20;
    layout.partitions = {{.number = 1, .start = 1 << 20, .size = 4 << 20, .type = "83"}};
    REQUIRE(check_layout(layout));
    made.layout = layout;
    made.level = GENERATE(0, 7);
    auto const refused = [&made] {
        auto const decoded = decode_description(encode_description(made));
        return decoded ? "accepted" : decoded.error().message;
    };
    CHECK(refused() == "accepted");
    CHECK(decode_description(encode_description(made)) == made);
    made.kind = image_kind::partition;
    CHECK(refused() == "a partition with a layout");
    made.kind = image_kind::disk;
    made.source_size = byte_count{65 << 20};
    CHECK(refused() == "a layout of a disk of 67108864 bytes in sectors of 512 bytes");
    made.source_size = byte_count{64 << 20};
    made.layout->partitions[0].size = 128 << 20;
    CHECK_THAT(refused(), Catch::StartsWith("disk layout: "));
}

TEST_CASE("a piece whose table differs from the index is refused") {
    auto const made = small_sample();
    auto const image = made.image();
    auto const good = made.piece(image, 1);
    std::vector<std::byte> piece(good.begin(), good.end());
    piece[packed_header_size + 20] ^= std::byte{1}; // the digest of its first chunk
    auto const checked = check_piece(image, piece_index{1}, piece);
    REQUIRE_FALSE(checked);
    CHECK(checked.error().message == "piece 1: its chunk table differs from the index");
}

TEST_CASE("no invalid torrent of a packed image is made") {
    auto const made = small_sample();
    auto const image = made.image();
    std::vector<sha1_digest> hashes(static_cast<std::size_t>(image.piece_count()), sha1_digest{'h'});
    torrent_details details;
    details.name = "sda1.sbi";
    details.piece_length = 1 << 20;
    auto const make = [&] {
        return make_packed_torrent(image.packed_size, hashes, image.description, image.index, details);
    };
    CHECK(make());
    details.name = "abc";
    CHECK(make().error().message == "image name 'abc': expected a file name that ends in .sbi");
    details.name = "a/b.sbi";
    CHECK(make().error().message == "image name 'a/b.sbi': expected a file name that ends in .sbi");
    details.name = "sda1.sbi";
    hashes.pop_back();
    CHECK_THAT(make().error().message, Catch::StartsWith("hashes of "));
}
