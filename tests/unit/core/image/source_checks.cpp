#include "core/image/source_checks.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

std::string with(std::size_t offset, std::string const& bytes, std::string head = std::string(source_head, '\0')) {
    return head.replace(offset, bytes.size(), bytes);
}

} // namespace

TEST_CASE("a file that holds an image in another form is recognised by its first bytes") {
    CHECK(packed_format("\x1f\x8b\x08 data") == "gzip-compressed data");
    CHECK(packed_format(std::string("\xfd\x37zXZ\0\0\4", 8)) == "xz-compressed data");
    CHECK(packed_format("\x28\xb5\x2f\xfd data") == "zstd-compressed data");
    CHECK(packed_format("QFI\xfb") == "a qcow2 disk image");
    CHECK(packed_format("<!DOCTYPE HTML PUBLIC>") == "an HTML page");
    CHECK(packed_format("\xef\xbb\xbf\n <Html lang=en>") == "an HTML page");
    CHECK(packed_format("partclone-image0002") == "a partclone image");
    CHECK(packed_format(with(257, "ustar")) == "a tar archive");
    CHECK_FALSE(packed_format(""));
    CHECK_FALSE(packed_format("\x1f"));
    CHECK_FALSE(packed_format("xQFI\xfb"));
    CHECK_FALSE(packed_format(with(0, "\xebXNTFS    ")));
    CHECK_FALSE(packed_format(std::string(source_head, '\0')));
    CHECK_FALSE(packed_format("<h"));
}

TEST_CASE("a btrfs of several devices is not on one of them") {
    auto const devices = [](char count) { return with(0x10088, std::string(1, count)); };
    CHECK(missing_part("btrfs", devices(2)) == "it is one of 2 devices of its btrfs");
    CHECK_FALSE(missing_part("btrfs", devices(1)));
    CHECK_FALSE(missing_part("xfs", with(48, "\1", devices(2))));
    CHECK_FALSE(missing_part("btrfs", ""));
}

TEST_CASE("an ext file system needs the device of its journal") {
    auto const journal = with(1024 + 0x5c, "\4");
    CHECK(missing_part("ext4", journal) == "the journal of its file system is on another device");
    CHECK(missing_part("ext3", journal));
    CHECK_FALSE(missing_part("ext4", with(1024 + 0xe0, "\10", journal)));
    CHECK_FALSE(missing_part("ext4", std::string(source_head, '\0'))); // without a journal
}

TEST_CASE("an XFS needs the devices of its log and of its real-time section") {
    auto const whole = with(48, std::string(7, '\0') + "\4");
    CHECK_FALSE(missing_part("xfs", whole));
    CHECK(missing_part("xfs", std::string(source_head, '\0')) == "the log of its file system is on another device");
    CHECK(missing_part("xfs", with(23, "\1", whole)) ==
          "the real-time section of its file system is on another device");
}

TEST_CASE("copies of a superblock that the image leaves out are listed") {
    using strings = std::vector<std::string>;
    auto const image = [](std::vector<extent> extents) { return extent_map::make(std::move(extents)).value(); };
    auto const first_mib = image({{0, 1 << 20}});
    SECTION("the backup boot sector of NTFS") {
        auto const ntfs = with(0x0b, std::string("\0\2", 2), with(0x28, "\xff\x0f")); // 4,095 sectors of 512 bytes
        strings const expected{
            "the image leaves out the backup boot sector of NTFS at byte 2096640, as partclone does; "
            "chkdsk /f restores it on the target"};
        CHECK(left_out_copies("ntfs", ntfs, 2 << 20, first_mib) == expected);
        CHECK(left_out_copies("ntfs", ntfs, 4 << 20, first_mib) == expected); // of the volume, not of the device
        CHECK(metadata_copies("ntfs", ntfs, 2 << 20) == std::vector<extent>{{2'096'640, 512}});
        CHECK(left_out_copies("ext4", ntfs, 2 << 20, first_mib).empty());
        CHECK(left_out_copies("ntfs", ntfs, 2'096'640, first_mib).empty()); // the device ends before it
        CHECK(left_out_copies("ntfs", "", 2 << 20, first_mib).empty());
        CHECK(left_out_copies("ntfs", ntfs, 2 << 20, image({{0, 2 << 20}})).empty());
    }
    SECTION("the copies of btrfs, as far as the volume reaches") {
        auto const volume = [](char byte_3) {
            return with(0x10000 + 0x73, std::string(1, byte_3));
        }; // in units of 16 MiB
        auto const size = std::int64_t{1} << 40;
        CHECK(left_out_copies("btrfs", volume(0x40), size, first_mib) == // 1 GiB
              strings{"the image leaves out the copy of the btrfs superblock at byte 67108864, as partclone does; the "
                      "first mount on the target restores it"});
        CHECK(left_out_copies("btrfs", with(0x10000 + 0x75, "\1"), size, first_mib).size() == 2); // 1 TiB
        CHECK(metadata_copies("btrfs", with(0x10000 + 0x75, "\1"), size) ==
              std::vector<extent>{{64LL << 20, 4096}, {256LL << 30, 4096}});
        CHECK(left_out_copies("btrfs", volume(0x02), size, first_mib).empty()); // 32 MiB
        CHECK(left_out_copies("btrfs", volume(0x40), size, image({{0, 1 << 20}, {64 << 20, 16384}})).empty());
    }
}
