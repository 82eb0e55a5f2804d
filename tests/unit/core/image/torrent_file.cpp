#include "core/image/torrent_file.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <sstream>

#include <catch2/catch.hpp>
#include <libtorrent/announce_entry.hpp>
#include <libtorrent/torrent_info.hpp>

#include "core/foundation/save_file.hpp"
#include "core/image/image_torrent.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;

namespace {

constexpr std::int64_t mib = 1 << 20;

extent_map map_of(std::vector<extent> extents) {
    auto map = extent_map::make(std::move(extents));
    REQUIRE(map);
    return *map;
}

std::vector<sha1_digest> digests(std::size_t count) {
    std::vector<sha1_digest> made(count);
    for (std::size_t i = 0; i < count; ++i) {
        made[i].fill('h');
        made[i][0] = static_cast<char>('a' + i);
    }
    return made;
}

torrent_details details(std::string name = "sda1") {
    return {std::move(name), 16 << 20, {}, "Seedbed test"};
}

torrent_bytes make(extent_map const& extents, std::size_t pieces, torrent_details const& what) {
    auto made = make_torrent(extents, digests(pieces), what);
    INFO((made ? std::string() : made.error().message));
    REQUIRE(made);
    return *made;
}

} // namespace

TEST_CASE("a torrent of extents, byte for byte") {
    auto const made = make(map_of({{0, 16384}, {0x7ffffffffff00000, 1}}), 1, details());
    auto const* const zeros = "32:00000000000000000000000000000000";
    CHECK(made.bytes == std::string("d10:created by12:Seedbed test4:infod5:filesld6:lengthi16384e4:pathl") + zeros +
                            "eed6:lengthi1e4:pathl32:00000000000000007ffffffffff00000eee4:name4:sda112:piece "
                            "lengthi16777216e6:pieces20:ahhhhhhhhhhhhhhhhhhhee");
}

TEST_CASE("one extent makes a multi-file torrent too") {
    auto const made = make(map_of({{0, 512}}), 1, details());
    CHECK(made.bytes.find("5:filesld6:lengthi512e4:pathl32:00000000000000000000000000000000eee4:name4:sda1") !=
          std::string::npos);
}

TEST_CASE("a created torrent loads as the same image") {
    test::temp_dir const folder;
    auto const extents = map_of({{0, 20 * mib}, {32 * mib + 1024, 1024}, {1LL << 44, 30 * mib}});
    auto name = GENERATE(as<std::string>{}, "sda1", "vg/root", "a/b/c", "nvme0n1p3", "with space", "abc123", "...",
                         "a..", std::string(239, 'x'));
    CAPTURE(name);
    auto what = details(name);
    what.trackers = {"http://10.0.0.1:6969/announce", "udp://tracker:80", "http://10.0.0.1:6969/announce"};
    auto const made = make(extents, 4, what);
    CHECK(make(extents, 4, what).bytes == made.bytes);
    auto const path = folder / "x.torrent";
    REQUIRE(save_file(path, made.bytes, false));
    auto const image = load_image_torrent(path);
    INFO((image ? std::string() : image.error().message));
    REQUIRE(image);
    CHECK(image->name == name.substr(0, name.find('/')));
    CHECK(image->info_hash == made.info_hash);
    CHECK(image->extents.extents() == extents.extents());
    CHECK(image->piece_length == 16 * mib);
    REQUIRE(image->piece_count == 4);
    for (int piece = 0; piece < 4; ++piece) {
        auto const hash = image->info->hash_for_piece(lt::piece_index_t(piece));
        CHECK(std::memcmp(hash.data(), digests(4)[static_cast<std::size_t>(piece)].data(), 20) == 0);
    }
    CHECK(image->info->creator() == "Seedbed test");
    CHECK(image->info->creation_date() == 0);
    CHECK_FALSE(image->info->priv());
    CHECK_FALSE(image->info->info_hashes().has_v2());
    auto const trackers = image->info->trackers();
    REQUIRE(trackers.size() == 2);
    CHECK(trackers[0].url == "http://10.0.0.1:6969/announce");
    CHECK(trackers[0].tier == 0);
    CHECK(trackers[1].url == "udp://tracker:80");
    CHECK(trackers[1].tier == 1);
}

TEST_CASE("trackers are tried in order, one per tier") {
    auto what = details();
    what.trackers = {"http://a/x"};
    auto const one = make(map_of({{0, 512}}), 1, what);
    CHECK(one.bytes.starts_with("d8:announce10:http://a/x10:created by"));
    what.trackers = {"http://a/x", "udp://b:80", "http://c/x"};
    auto const three = make(map_of({{0, 512}}), 1, what);
    CHECK(three.bytes.starts_with(
        "d8:announce10:http://a/x13:announce-listll10:http://a/xel10:udp://b:80el10:http://c/xee10:created by"));
    CHECK(three.info_hash == one.info_hash);
}

TEST_CASE("a private torrent has another info-hash") {
    auto what = details();
    auto const open = make(map_of({{0, 512}}), 1, what);
    what.is_private = true;
    auto const made = make(map_of({{0, 512}}), 1, what);
    CHECK(made.bytes.ends_with("7:privatei1eee"));
    CHECK(made.info_hash != open.info_hash);
}

TEST_CASE("a name that a client would change") {
    auto const refusal = [](std::string const& name) {
        auto const made = make_torrent(map_of({{0, 512}}), digests(1), details(name));
        REQUIRE_FALSE(made);
        CHECK_FALSE(check_image_name(name));
        return made.error().message;
    };
    CHECK(refusal("") == "the image name is empty");
    CHECK(refusal("/dev/sda1") == "image name '/dev/sda1' starts with a slash");
    CHECK(refusal("vg/") == "image name 'vg/' contains an empty component, '.' or '..'");
    CHECK(refusal("vg//root") == "image name 'vg//root' contains an empty component, '.' or '..'");
    CHECK(refusal("./root") == "image name './root' contains an empty component, '.' or '..'");
    CHECK(refusal("vg/..") == "image name 'vg/..' contains an empty component, '.' or '..'");
    CHECK(refusal("a\\b") == "image name 'a\\b' contains a backslash");
    CHECK(refusal("a\nb") == "the image name contains a character that is not printable ASCII");
    CHECK(refusal("B\xc3\xbcro") == "the image name contains a character that is not printable ASCII");
    CHECK(refusal("a/" + std::string(240, 'x')) ==
          "image name 'a/" + std::string(240, 'x') + "' contains a component of more than 239 bytes");
}

TEST_CASE("hashes and piece lengths that do not make a torrent") {
    auto const extents = map_of({{0, 20 * mib}});
    auto const refusal = [&](std::size_t hashes, std::int32_t piece_length) {
        auto what = details();
        what.piece_length = piece_length;
        auto const made = make_torrent(extents, digests(hashes), what);
        REQUIRE_FALSE(made);
        return made.error().message;
    };
    CHECK(refusal(1, 16 << 20) == "1 hash for 2 pieces");
    CHECK(refusal(3, 16 << 20) == "3 hashes for 2 pieces");
    CHECK(refusal(1, 0) == "a piece length of 0 bytes");
    CHECK(refusal(1, -1) == "a piece length of -1 bytes");
    CHECK(refusal(2, 20'000'000) == "libtorrent cannot make the torrent: invalid piece size");
    auto const huge = make_torrent(map_of({{0, 1LL << 45}}), digests(1), {"x", 1 << 30, {}, ""});
    REQUIRE_FALSE(huge);
    CHECK(huge.error().message == "1 hash for 32768 pieces");
    auto const larger = make_torrent(map_of({{0, 1LL << 45}}), digests(32768), {"x", 1 << 30, {}, ""});
    REQUIRE_FALSE(larger);
    CHECK(larger.error().message == "libtorrent cannot make the torrent: File too large");
}
