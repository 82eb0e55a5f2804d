#include "core/image/image_origin.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/image/source_checks.hpp"

using namespace seedbed;

namespace {

std::int64_t sector_of(std::string const& type, std::size_t offset, std::string const& bytes) {
    disk_content content;
    content.type = type;
    return traits_of(content, std::string(source_head, '\0').replace(offset, bytes.size(), bytes), 0).sector_size;
}

image_kind kind_of(std::string const& name) {
    return read_traits("", name).kind;
}

} // namespace

TEST_CASE("a torrent's comment says what its image is") {
    image_traits const traits{.kind = image_kind::disk, .content = "gpt", .sector_size = 512};
    CHECK(to_comment(traits) == "seedbed kind=disk content=gpt sector=512");
    CHECK(read_traits(to_comment(traits), "sda1") == traits);
    CHECK(read_traits(to_comment({}), "sda1") == image_traits{});
    CHECK(to_comment({}) == "seedbed kind=unknown");
}

TEST_CASE("a torrent's comment says how many bytes its file system takes up") {
    image_traits const traits{.kind = image_kind::partition, .content = "ext4", .sector_size = 1024, .size = 33554432};
    CHECK(to_comment(traits) == "seedbed kind=partition content=ext4 sector=1024 size=33554432");
    CHECK(read_traits(to_comment(traits), "x") == traits);
    for (std::string const size : {"", "-1", "7x", "9223372036854775808"}) {
        CHECK(read_traits("seedbed kind=partition size=" + size, "x").size == 0);
    }
}

TEST_CASE("a comment can hold anything") {
    image_traits const none;
    for (std::string const comment :
         {"seedbed ", "seedbed kind", "seedbed kind= sector= content=", "seedbed =disk", "seedbed kind=other",
          "seedbed sector=-1 content=a\x1b[2J", "seedbed sector=99999999999999999999", "seedbed sector=513",
          "seedbed sector=131072"}) {
        CHECK(read_traits(comment, "x") == none);
    }
    CHECK(read_traits("seedbed later=7 kind=disk", "x").kind == image_kind::disk);
    CHECK(read_traits("made by hand", "sda1").kind == image_kind::partition);
}

TEST_CASE("a name can say what an image is") {
    for (auto const* const name : {"sda1", "nvme0n1p2", "mmcblk0p1", "vdb12", "disk/sda1", "sdaa3"}) {
        CHECK(kind_of(name) == image_kind::partition);
    }
    for (auto const* const name : {"sda", "nvme0n1", "nvme12n3", "mmcblk1", "xvda"}) {
        CHECK(kind_of(name) == image_kind::disk);
    }
    for (auto const* const name : {"", "1", "p1", "win10", "sd", "sd1", "nvme0", "nvmen1", "vg/root", "hdd-image",
                                   "hdd", "vdi", "sdk", "loop0", "sda1/", "nvme0n1p", "sdabc1"}) {
        INFO(name);
        CHECK(kind_of(name) == image_kind::unknown);
    }
}

TEST_CASE("the size of a file system is that of its superblock, or unknown") {
    auto const size_of = [](std::string const& type, std::vector<std::pair<std::size_t, std::string>> const& fields) {
        std::string head(source_head, '\0');
        for (auto const& [at, bytes] : fields) {
            head.replace(at, bytes.size(), bytes);
        }
        return size_of_file_system(type, head);
    };
    using namespace std::string_literals;
    CHECK(size_of("ext4", {{1028, "\0\1"s}, {1048, "\2"}}) == 256 * 4096);
    CHECK(size_of("ext4", {{1028, "\0\1"s}, {1048, "\2"}, {1120, "\x80"}, {1360, "\1"}}) == 0x1'0000'0100 * 4096);
    CHECK(size_of("ext2", {{1028, "\0\1"s}, {1048, "\x20"}}) == 0); // no such block size
    CHECK(size_of("ntfs", {{0x0b, "\0\2"s}, {0x28, "\0\0\1"s}}) == 65536 * 512);
    CHECK(size_of("ntfs", {{0x0b, "\1\2"}, {0x28, "\1"}}) == 0); // not a power of two
    CHECK(size_of("vfat", {{0x0b, "\0\2"s}, {0x13, "\0\1"s}, {0x20, "\7"}}) == 256 * 512);
    CHECK(size_of("vfat", {{0x0b, "\0\2"s}, {0x20, "\0\0\1"s}}) == 65536 * 512);
    CHECK(size_of("exfat", {{0x48, "\0\1"s}, {0x6c, "\x9"}}) == 256 * 512);
    CHECK(size_of("xfs", {{4, "\0\0\x10\0"s}, {8, "\0\0\0\0\0\0\1\0"s}}) == 256 * 4096);
    CHECK(size_of("xfs", {{4, "\0\0\x10\0"s}, {8, "\xff"}}) == 0);
    CHECK(size_of("btrfs", {{0x10070, "\0\0\1"s}, {0x10088, "\1"}}) == 65536);
    CHECK(size_of("btrfs", {{0x10070, "\0\0\1"s}, {0x10088, "\2"}}) == 0); // of both devices
    CHECK(size_of("f2fs", {{1040, "\xc"}, {1060, "\0\1"s}}) == 256 * 4096);
    CHECK(size_of("iso9660", {{0, "\1\1\1\1\1\1"}}) == 0);
    CHECK(size_of_file_system("ext4", "") == 0);
}

TEST_CASE("the sectors of a source are those of its file system or partition table") {
    CHECK(sector_of("ntfs", 0x0b, std::string("\0\2", 2)) == 512);
    CHECK(sector_of("vfat", 0x0b, std::string("\0\x10", 2)) == 4096);
    CHECK(sector_of("vfat", 0x0b, std::string("\1\x10", 2)) == 0); // not a power of two
    CHECK(sector_of("exfat", 0x6c, "\x0c") == 4096);
    CHECK(sector_of("xfs", 102, std::string("\2\0", 2)) == 512);
    CHECK(sector_of("ext4", 1024 + 0x18, "\2") == 4096);
    CHECK(sector_of("ext4", 1024 + 0x18, "\xff\xff") == 0);
    CHECK(sector_of("ext2", 1024 + 0x18, std::string(1, '\0')) == 1024);
    CHECK(sector_of("btrfs", 0x10090, std::string("\0\x10", 2)) == 4096);
    CHECK(sector_of("jfs", 0, "") == 0);

    disk_content disk;
    disk.partition_table = "gpt";
    auto const gpt = [&](std::size_t at) {
        return traits_of(disk, std::string(source_head, '\0').replace(at, 8, "EFI PART"), 0).sector_size;
    };
    CHECK(gpt(512) == 512);
    CHECK(gpt(4096) == 4096);
    disk.partition_table = "dos";
    auto const dos = traits_of(disk, std::string(source_head, '\0'), 4096);
    CHECK(dos == image_traits{.kind = image_kind::disk, .content = "dos", .sector_size = 4096});
    auto guest = disk; // of a virtual machine, in a partition
    guest.partition_uuid = "8a63c3f4-01";
    CHECK(traits_of(guest, "", 512).kind == image_kind::partition);
    auto hybrid = disk; // an ISO 9660 image that also starts from a stick
    hybrid.type = "iso9660";
    CHECK(traits_of(hybrid, "", 512).kind == image_kind::unknown);
    CHECK(traits_of(hybrid, "", 512).content == "iso9660");
    CHECK(traits_of({}, "", 512) == image_traits{});
    CHECK(traits_of(disk, "", 0).sector_size == 0);
}
