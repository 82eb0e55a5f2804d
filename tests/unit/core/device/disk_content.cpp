#include "core/device/disk_content.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "support/temp_dir.hpp"

using namespace seedbed;

namespace {

std::string detected(std::filesystem::path const& file) {
    auto const found = probe_content(file.string());
    INFO((found ? "" : found.error().message));
    REQUIRE(found);
    return found->type;
}

} // namespace

TEST_CASE("the file system of an image file, as blkid names it") {
    test::temp_dir const folder;
    auto const file = folder / "image";
    std::string content(1 << 20, '\0');
    std::ofstream(file) << content;
    CHECK(detected(file).empty());
    // The header of a LUKS volume, version 1.
    content.replace(0, 8, std::string("LUKS\xba\xbe\0\1", 8));
    content.replace(168, 37, "d0d6d1a6-2a17-4b0e-9b6c-4f1f0b1d7a10");
    std::ofstream(file) << content;
    CHECK(detected(file) == "crypto_LUKS");
}

namespace {

/// The superblock of an md member, version 1.0, from which libblkid recognises it.
std::string md_superblock(std::int64_t offset) {
    std::string block(256, '\0');
    auto const put = [&](std::size_t at, std::uint64_t number, int bytes) {
        for (int i = 0; i < bytes; ++i) {
            block[at + static_cast<std::size_t>(i)] = static_cast<char>(number >> (8 * i));
        }
    };
    put(0, 0xa92b4efc, 4);
    put(4, 1, 4);
    block.replace(16, 16, "0123456789abcdef");
    put(144, static_cast<std::uint64_t>(offset / 512), 8);
    return block;
}

using types = std::vector<std::string>;
types types_of(std::vector<disk_signature> const& signatures) {
    types found;
    for (auto const& signature : signatures) {
        found.push_back(signature.type);
    }
    return found;
}

} // namespace

TEST_CASE("several signatures are all named, and which one is valid is not guessed") {
    test::temp_dir const folder;
    auto const file = (folder / "image").string();
    std::string content(4 << 20, '\0'); // RAIDs are not looked for on a floppy disk
    content.replace(0, 8, "-rom1fs-");
    content.replace(65'536, 7, "ReIsEr4");
    std::ofstream(file) << content;
    auto const found = probe_content(file);
    REQUIRE(found);
    CHECK(found->ambiguous);
    CHECK(found->type.empty());
    CHECK(types_of(found->signatures) == types{"reiser4", "romfs"});
    CHECK(signature_types(found->signatures) == "reiser4, romfs");
}

TEST_CASE("a member of a RAID hides nothing that lies beside it") {
    test::temp_dir const folder;
    auto const file = (folder / "image").string();
    std::string content(4 << 20, '\0'); // RAIDs are not looked for on a floppy disk
    content.replace(0, 8, "-rom1fs-");
    auto const at = (std::int64_t{4} << 20) - 8192;
    content.replace(static_cast<std::size_t>(at), 256, md_superblock(at));
    std::ofstream(file) << content;
    auto const found = probe_content(file);
    REQUIRE(found);
    CHECK(found->type == "linux_raid_member");
    CHECK_FALSE(found->ambiguous);
    CHECK(types_of(found->signatures) == types{"linux_raid_member", "romfs"});
    auto const all = find_signatures(file);
    REQUIRE(all);
    REQUIRE(types_of(*all) == types{"linux_raid_member", "romfs"});
    CHECK((*all)[0].offset == at);
    CHECK((*all)[0].length == 4);
    CHECK((*all)[1].offset == 0);
    CHECK((*all)[1].length == 8);
}

TEST_CASE("the copies of a signature are found, and one signature is recognised once") {
    test::temp_dir const folder;
    auto const file = (folder / "image").string();
    std::string content(1 << 20, '\0');
    content.replace(0, 8, std::string("LUKS\xba\xbe\0\2", 8));
    content.replace(0x4000, 8, std::string("SKUL\xba\xbe\0\2", 8));
    std::ofstream(file) << content;
    auto const found = probe_content(file);
    REQUIRE(found);
    CHECK(types_of(found->signatures) == types{"crypto_LUKS"});
    auto const all = find_signatures(file);
    REQUIRE(all);
    REQUIRE(types_of(*all) == types{"crypto_LUKS", "crypto_LUKS"});
    CHECK((*all)[0].offset == 0);
    CHECK((*all)[1].offset == 0x4000);
    std::ofstream(file) << std::string(1 << 20, '\0');
    CHECK(find_signatures(file).value().empty());
    CHECK_FALSE(find_signatures((folder / "missing").string()));
}

namespace {

constexpr std::int64_t kib = 1024;

/// Writes a ZFS label as OpenZFS does: the pool's description ends in a checksum with a magic number, and the ring of
/// uberblocks follows.
void put_zfs_label(std::string const& file, std::int64_t label, int uberblocks) {
    std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
    out.seekp(label + 16 * kib);
    out.write("\1\1\0\0", 4); // XDR, little endian
    out.seekp(label + 128 * kib - 40);
    out.write("\x11\x7a\x0c\xb1\x7a\xda\x10\x02", 8);
    for (int i = 0; i < uberblocks; ++i) {
        out.seekp(label + (128 + i) * kib);
        out.write("\x0c\xb1\xba\0\0\0\0\0\x88\x13", 10);
    }
}

using offsets = std::vector<std::int64_t>;
offsets areas_of(std::vector<disk_signature> const& signatures) {
    offsets found;
    for (auto const& signature : signatures) {
        CHECK(signature.type == "zfs_member");
        CHECK(signature.offset >= signature.area_offset);
        CHECK(signature.area_length == 240 * kib);
        found.push_back(signature.area_offset);
    }
    std::ranges::sort(found);
    return found;
}

} // namespace

TEST_CASE("each ZFS label is one signature, whatever remains of it") {
    test::temp_dir const folder;
    auto const file = (folder / "image").string();
    std::int64_t const size = 4096 * kib + 512; // the labels at the end are aligned
    std::ofstream(file) << std::string(static_cast<std::size_t>(size), '\0');
    auto const end = 4096 * kib;
    SECTION("a member of a pool") {
        for (auto const label : {std::int64_t{0}, 256 * kib, end - 512 * kib, end - 256 * kib}) {
            put_zfs_label(file, label, 128);
        }
        CHECK(areas_of(find_signatures(file).value()) ==
              offsets{16 * kib, 272 * kib, end - 496 * kib, end - 240 * kib});
    }
    SECTION("a cache device, or a member after wipefs: no uberblock, and libblkid finds nothing") {
        put_zfs_label(file, 256 * kib, 0);
        put_zfs_label(file, end - 256 * kib, 0);
        CHECK(probe_content(file).value().signatures.empty());
        CHECK(areas_of(find_signatures(file).value()) == offsets{272 * kib, end - 240 * kib});
    }
    SECTION("not where a partition is: it is the partition's") {
        put_zfs_label(file, end - 512 * kib, 0);
        put_zfs_label(file, end - 256 * kib, 0);
        std::fstream out(file, std::ios::binary | std::ios::in | std::ios::out);
        out.seekp(446);
        out.write("\0\0\0\0\x83\0\0\0\0\x08\0\0\0\x16\0\0", 16); // sectors 2048 to 7679
        out.seekp(510);
        out.write("\x55\xaa", 2);
        out.close();
        auto const all = find_signatures(file).value();
        REQUIRE(types_of(all) == types{"dos", "zfs_member"});
        CHECK(all[1].area_offset == end - 240 * kib);
    }
}

TEST_CASE("paths that cannot be examined are errors") {
    test::temp_dir const folder;
    auto const missing = (folder / "missing").string();
    auto const failed = probe_content(missing);
    REQUIRE_FALSE(failed);
    CHECK(failed.error().message == missing + ": No such file or directory (ENOENT)");
    std::ofstream(folder / "empty").flush();
    auto const empty = probe_content((folder / "empty").string());
    CHECK((!empty || empty->type.empty()));
    CHECK_FALSE(probe_content(folder.path().string()));
}
