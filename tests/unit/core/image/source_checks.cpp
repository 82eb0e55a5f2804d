#include "core/image/source_checks.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

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
    CHECK(packed_format("partclone-image0002") == "an image of partclone");
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
