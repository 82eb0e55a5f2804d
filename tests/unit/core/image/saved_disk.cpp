// Files of partclone and Clonezilla folders as the source of a packed image.

#include "core/image/saved_disk.hpp"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/image/clonezilla_folder.hpp"
#include "core/image/saved_partition.hpp"
#include "support/partclone_sample.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using test::partclone_sample;
using test::temp_dir;

namespace fs = std::filesystem;

namespace {

void save(fs::path const& path, std::string const& bytes) {
    std::ofstream(path, std::ios::binary) << bytes;
}

saved_partition image_in(temp_dir const& folder, std::string const& bytes) {
    save(folder / "a", bytes.substr(0, 300));
    save(folder / "b", bytes.substr(300));
    auto opened = saved_partition::open_image({folder / "a", folder / "b"});
    INFO((opened ? "" : opened.error().message));
    REQUIRE(opened);
    return *std::move(opened);
}

saved_partition bytes_in(temp_dir const& folder, std::string const& bytes, std::int64_t size) {
    save(folder / "dd", bytes);
    auto opened = saved_partition::open_bytes({folder / "dd"}, size);
    REQUIRE(opened);
    return *std::move(opened);
}

std::string read(saved_disk& disk, packed_range const& range) {
    std::string bytes(static_cast<std::size_t>(range.length), '\0');
    auto const half = bytes.size() / 2;
    auto const all = std::as_writable_bytes(std::span(bytes.data(), bytes.size()));
    std::vector<iovec> const two{{all.data(), half}, {all.data() + half, all.size() - half}};
    auto const done = disk.read(range.offset, two);
    INFO((done ? "" : disk.failure().value_or(error{"no failure"}).message));
    REQUIRE(done);
    return bytes;
}

/// A FAT of 16 bits whose label is in its root folder, after much that libblkid does not need.
std::string fat_with_label() {
    std::string bytes(16 << 20, '\0');
    auto const put = [&](std::size_t offset, std::string const& text) { bytes.replace(offset, text.size(), text); };
    put(0, std::string("\xeb\x3c\x90mkfs.fat\0\2", 13)); // 512 bytes a sector
    put(0x0d, std::string("\1\0\x20\2\0\2", 6));         // one a cluster; 8192 reserved, two tables, 512 files
    put(0x15, std::string("\xf8\x20\0", 3));             // 32 sectors a table
    put(0x20, std::string("\0\x80\0\0", 4));             // 32768 sectors
    put(0x26, "\x29\x11\x22\x33\x44NO NAME    FAT16   ");
    put(510, "\x55\xaa");
    put((8192 + 64) * 512, std::string("LATE LABEL \x08", 12));
    return bytes;
}

constexpr auto mbr_dump = "label: dos\nlabel-id: 0x1234abcd\ndevice: /dev/sda\nunit: sectors\nsector-size: 512\n\n"
                          "/dev/sda1 : start=        2048, size=        2048, type=83, bootable\n"
                          "/dev/sda2 : start=        4096, size=        8192, type=5\n"
                          "/dev/sda3 : start=       12288, size=        2048, type=7\n"
                          "/dev/sda5 : start=        6144, size=        2048, type=82\n";

/// A Clonezilla folder: an image, a swap area, and a partition that is not saved.
struct folder_sample {
    temp_dir folder;

    folder_sample() {
        put("sda-pt.sf", mbr_dump);
        put("sda-mbr", "code" + std::string(508, 'x'));
        put("sda-hidden-data-after-mbr", std::string(2047 * 512, 'h'));
        put("parts", "sda1 sda5\n");
        put("sda1.ext4-ptcl-img.zst.ab", "2");
        put("sda1.ext4-ptcl-img.zst.aa", "1");
        put("sda11.ext4-ptcl-img.zst.aa", "not it");
        put("swappt-sda5.info", "UUID=\"12345678-1234-1234-1234-123456789abc\"\nLABEL=\"more\"\n");
    }
    void put(std::string const& name, std::string const& text) const { save(folder / name, text); }
    void remove(std::string const& name) const { REQUIRE(fs::remove(folder / name)); }
    [[nodiscard]] clonezilla_folder read() const {
        auto const found = read_clonezilla_folder(folder.path());
        INFO((found ? "" : found.error().message));
        REQUIRE(found);
        return *found;
    }
    [[nodiscard]] std::string refusal() const {
        auto const found = read_clonezilla_folder(folder.path());
        return found ? "accepted" : found.error().message;
    }
};

} // namespace

TEST_CASE("the bytes of a disk come from its files, in order") {
    temp_dir const one;
    temp_dir const two;
    partclone_sample const sample;
    std::string const all(8192, 'd');
    saved_disk disk("disk", 100'000);
    disk.add(512, std::string(1024, 'g'));
    disk.add(4096, image_in(one, sample.whole()));
    disk.add(40'960, bytes_in(two, all, 8192));
    disk.add(49'152, std::string(512, 'e')); // adjacent: one request may read both
    auto const ranges = disk.ranges(512);
    REQUIRE(ranges.size() == 3 + 3); // of the image, three runs
    CHECK(ranges.front() == packed_range{512, 1024});
    CHECK(ranges[4] == packed_range{40'960, 8192});
    CHECK(ranges.back() == packed_range{49'152, 512});
    CHECK(read(disk, ranges.front()) == std::string(1024, 'g'));
    std::string whole(sample.file_system_bytes().size(), '\0');
    for (std::size_t i = 1; i <= 3; ++i) {
        whole.replace(static_cast<std::size_t>(ranges[i].offset - 4096), static_cast<std::size_t>(ranges[i].length),
                      read(disk, ranges[i]));
    }
    CHECK(whole == sample.file_system_bytes());
    CHECK(read(disk, {40'960, 8192 + 512}) == all + std::string(512, 'e'));
    CHECK(disk.finish());
    CHECK(disk.partition_at(4096) != nullptr);
    CHECK(disk.partition_at(512) == nullptr);
    CHECK(disk.partition_at(40'960)->head() == all);
}

TEST_CASE("a failure of a file is kept, and the disk fails from then on") {
    temp_dir const folder;
    auto bytes = partclone_sample().whole();
    bytes[bytes.size() - 3] = static_cast<char>(bytes[bytes.size() - 3] ^ 1); // in the last checksum
    saved_disk disk("disk", 100'000);
    disk.add(0, image_in(folder, bytes));
    auto const ranges = disk.ranges(512);
    for (auto const& range : ranges) {
        static_cast<void>(read(disk, range));
    }
    auto const ended = disk.finish();
    REQUIRE_FALSE(ended);
    CHECK_THAT(ended.error().message,
               Catch::StartsWith((folder / "a").string() + ": a checksum of its blocks is wrong"));
}

TEST_CASE("bytes out of order, outside the files, and files of another length are errors") {
    temp_dir const folder;
    std::vector<std::byte> buffer(512);
    saved_disk unordered("disk", 100'000);
    unordered.add(0, image_in(folder, partclone_sample().whole()));
    auto const wrong = unordered.read(1024, buffer);
    REQUIRE_FALSE(wrong);
    CHECK(wrong.error().code == EIO);
    REQUIRE(unordered.failure());
    CHECK(unordered.failure()->message == (folder / "a").string() + ": byte 1024 does not follow in it");
    CHECK_FALSE(unordered.read(0, buffer));

    saved_disk outside("disk", 100'000);
    outside.add(512, std::string(1024, 'g'));
    CHECK_FALSE(outside.read(0, buffer));
    CHECK(outside.failure()->message == "disk: byte 0 is not in its files");
    CHECK(outside.write(512, buffer).error().code == EROFS);

    saved_disk too_short("disk", 100'000);
    too_short.add(0, bytes_in(folder, std::string(500, 'd'), 512));
    CHECK_FALSE(too_short.read(0, buffer));
    CHECK_THAT(too_short.failure()->message, Catch::EndsWith("dd: ends after 500 bytes, its partition has 512"));
    saved_disk too_long("disk", 100'000);
    too_long.add(0, bytes_in(folder, std::string(513, 'd'), 512));
    REQUIRE(too_long.read(0, buffer));
    CHECK_THAT(too_long.finish().error().message, Catch::EndsWith("dd: has more than the 512 bytes of its partition"));
}

TEST_CASE("the content of saved bytes is recognised, with a label that is far from its start") {
    temp_dir const folder;
    auto const bytes = fat_with_label();
    auto partition = bytes_in(folder, bytes, static_cast<std::int64_t>(bytes.size()));
    std::vector<std::byte> buffer(1 << 20);
    for (std::int64_t at = 0; at < partition.size(); at += 1 << 20) {
        REQUIRE(partition.read(at, buffer));
    }
    REQUIRE(partition.finish());
    auto const content = partition.content();
    INFO((content ? "" : content.error().message));
    REQUIRE(content);
    CHECK(content->type == "vfat");
    CHECK(content->label == "LATE LABEL");
    CHECK(content->uuid == "4433-2211");
    CHECK(partition.head() == bytes.substr(0, partition.head().size()));
}

TEST_CASE("a Clonezilla folder is read") {
    folder_sample const sample;
    auto const found = sample.read();
    CHECK(found.disk == "sda");
    CHECK(found.layout.id == "1234abcd");
    CHECK(found.layout.boot_code == "code" + std::string(436, 'x'));
    CHECK(found.layout.gap_start == 512);
    CHECK(found.layout.gap_size == 2047 * 512);
    CHECK(found.gap == std::string(2047 * 512, 'h'));
    REQUIRE(found.partitions.size() == 1);
    CHECK(found.partitions[0].number == 1);
    CHECK_FALSE(found.partitions[0].all_bytes);
    CHECK(found.partitions[0].files == std::vector<fs::path>{sample.folder / "sda1.ext4-ptcl-img.zst.aa",
                                                             sample.folder / "sda1.ext4-ptcl-img.zst.ab"});
    CHECK(found.missing == std::vector<int>{3});
    auto const& swap = find_partition(found.layout, 5)->content;
    CHECK(swap.type == "swap");
    CHECK(swap.label == "more");
    CHECK(swap.uuid == "12345678-1234-1234-1234-123456789abc");
    CHECK(swap.swap_page == 4096);
}

TEST_CASE("partclone.dd's files and disks whose names end in a digit") {
    temp_dir const folder;
    std::string dump = mbr_dump;
    for (auto at = dump.find("sda"); at != std::string::npos; at = dump.find("sda")) {
        auto const digit = dump[at + 3] >= '1' && dump[at + 3] <= '9';
        dump.replace(at, 3, digit ? "nvme0n1p" : "nvme0n1");
    }
    save(folder / "nvme0n1-pt.sf", dump);
    save(folder / "nvme0n1p3.dd-ptcl-img.gz.aa", "x");
    auto const found = read_clonezilla_folder(folder.path());
    INFO((found ? "" : found.error().message));
    REQUIRE(found);
    REQUIRE(found->partitions.size() == 1);
    CHECK(found->partitions[0].all_bytes);
    CHECK(found->missing == std::vector<int>{1, 5});
    CHECK(found->layout.boot_code.empty());
    CHECK(found->layout.gap_size == 0);
}

TEST_CASE("folders that cannot become a disk are refused with the reason") {
    folder_sample const sample;
    auto const path = sample.folder.path().string();
    SECTION("no table") {
        sample.remove("sda-pt.sf");
        CHECK(sample.refusal() == path + ": not a Clonezilla folder: it has no DISK-pt.sf");
    }
    SECTION("two disks") {
        sample.put("sdb-pt.sf", mbr_dump);
        CHECK_THAT(sample.refusal(), Catch::StartsWith(path + ": holds several disks, sda and sdb; "));
    }
    SECTION("a damaged table") {
        sample.put("sda-pt.sf", "label: dos\nsize\n");
        CHECK_THAT(sample.refusal(), Catch::StartsWith(path + "/sda-pt.sf:2: "));
    }
    SECTION("a logical volume") {
        sample.put("parts", "sda1 vg-root");
        CHECK_THAT(sample.refusal(),
                   Catch::StartsWith(path + ": has saved vg-root, which is not a partition of sda; "));
    }
    SECTION("a partition of another program") {
        sample.put("parts", "sda1 sda3");
        CHECK(sample.refusal() == path + ": has no partclone image of sda3, though its file \"parts\" lists it");
    }
    SECTION("a partition twice") {
        sample.put("sda1.dd-ptcl-img.gz", "x");
        CHECK(sample.refusal() == path + ": has sda1 twice: sda1.dd and sda1.ext4");
    }
    SECTION("a swap area's id") {
        sample.put("swappt-sda5.info", "UUID=\"-L x\"\nLABEL=\"\"\n");
        CHECK(sample.refusal() == path + ": swappt-sda5.info: not a UUID: -L x");
    }
    SECTION("a short MBR") {
        sample.put("sda-mbr", "code");
        CHECK(sample.refusal() == path + ": sda-mbr has less than 440 bytes");
    }
    SECTION("no folder") {
        CHECK_FALSE(read_clonezilla_folder(sample.folder / "sda-mbr"));
    }
}
