#include "core/layout/growth_plan.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "support/paper_disk.hpp"
#include "support/sample_layouts.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

growth const none;
growth const last{growth::choice::last, 0};

growth number(int value) {
    return {growth::choice::numbered, value};
}

deployment_plan plan(disk_layout const& image, std::int64_t size, growth const& grow) {
    auto const made = plan_deployment(image, size, image.sector_size, grow);
    INFO((made ? "" : made.error().message));
    REQUIRE(made);
    return *made;
}

std::string refusal(disk_layout const& image, std::int64_t size, growth const& grow, int sector = 512) {
    auto const made = plan_deployment(image, size, sector, grow);
    return made ? "" : made.error().message;
}

int seeds() {
    auto const* const text = std::getenv("SEEDBED_TEST_SEEDS");
    return text != nullptr ? std::atoi(text) : 300;
}

void check_plan(disk_layout const& image, deployment_plan const& made, std::int64_t size) {
    REQUIRE(check_layout(made.target)); // nothing overlaps, all lies in front of the backup table
    REQUIRE(made.target.disk_size <= size);
    REQUIRE(made.target.partitions.size() == image.partitions.size());
    for (std::size_t i = 0; i < image.partitions.size(); ++i) {
        auto const& before = image.partitions[i];
        auto const& after = made.target.partitions[i];
        auto const shift = after.start - before.start;
        REQUIRE(after.number == before.number);
        REQUIRE(shift % mib == 0);
        REQUIRE((shift == 0 || shift == made.grown_by));
        auto const* const grown = find_partition(image, made.grown);
        auto const around = before.role == partition_role::extended && made.grown > 4;
        REQUIRE(after.size - before.size == (before.number == made.grown || around ? made.grown_by : 0));
        REQUIRE((shift != 0) == (grown != nullptr && before.start >= grown->end()));
        if (before.role != partition_role::extended) {
            REQUIRE(target_offset(made, before.start) == after.start);
            REQUIRE(target_offset(made, before.end() - 1) == after.start + before.size - 1);
        }
        for (std::size_t j = 0; j < image.partitions.size(); ++j) { // the order on the disk stays
            REQUIRE((before.start < image.partitions[j].start) == (after.start < made.target.partitions[j].start));
        }
    }
}

} // namespace

TEST_CASE("random layouts keep order, alignment and content on disks of many sizes") {
    for (int seed = 1; seed <= seeds(); ++seed) {
        INFO("SEEDBED_TEST_SEED=" << seed);
        paper_disk paper(static_cast<unsigned>(seed));
        auto const image = paper.make();
        auto const valid = check_layout(image);
        INFO((valid ? "" : valid.error().message));
        REQUIRE(valid);
        for (int i = 0; i < 8; ++i) {
            auto const size = i == 0 ? image.disk_size : image.disk_size / 2 + paper.upto(image.disk_size * 2);
            auto const made = plan_deployment(image, size, image.sector_size, i % 2 == 0 ? none : last);
            if (!made) {
                auto const& message = made.error().message;
                INFO(message);
                auto const small = message.starts_with("the disk is too small");
                REQUIRE((small || message.ends_with("only ext2, ext3, ext4, ntfs, xfs, btrfs and swap can") ||
                         message == "no partition can grow: the image has none"));
                REQUIRE(!(small && size >= image.disk_size));
                continue;
            }
            check_plan(image, *made, size);
            std::int64_t end = 0;
            for (auto const& partition : made->target.partitions) {
                end = std::max(end, partition.end());
            }
            if (i % 2 == 1 && image.table == table_type::gpt) { // at most the rest of a MiB is left
                REQUIRE(usable_end(made->target, size) - end < mib + image.sector_size);
            }
        }
        for (auto const& partition : image.partitions) {
            auto const size = image.disk_size + 50 * mib + paper.upto(5000 * mib);
            if (can_grow(partition.content.type) &&
                (partition.content.type != "btrfs" || partition.size >= 256 * mib)) {
                auto const made = plan(image, size, number(partition.number));
                REQUIRE(made.grown == partition.number);
                REQUIRE(made.grown_by >= 49 * mib);
                check_plan(image, made, size);
            }
        }
    }
}

TEST_CASE("on an equal disk nothing moves") {
    auto const made = plan(sample_gpt(), 1024 * mib, none);
    CHECK(made.target == sample_gpt());
    CHECK(made.ranges.size() == 7);
    CHECK(made.ranges[0] == moved_range{34 * 512, mib - 34 * 512, 0});
    CHECK(made.grown == 0);
    CHECK(target_offset(made, 0) == std::nullopt);
    CHECK(target_offset(made, 867 * mib) == std::nullopt);
}

TEST_CASE("the recovery partition moves when the one before it grows") {
    auto const made = plan(sample_gpt(), 2048 * mib, number(3));
    CHECK(made.grown_by == 1180 * mib); // up to the last whole MiB before the backup table
    CHECK(made.target.partitions[2].size == 1580 * mib);
    CHECK(made.target.partitions[5].start == 1947 * mib);
    CHECK(made.target.partitions[1] == sample_gpt().partitions[1]);
    CHECK(target_offset(made, 767 * mib + 5) == 1947 * mib + 5);
    CHECK(target_offset(made, 117 * mib) == 117 * mib);
    CHECK(made.notes.empty());
}

TEST_CASE("a logical partition grows with the extended one around it") {
    auto const made = plan(sample_mbr(), 2048 * mib, number(5));
    auto const& p = made.target.partitions;
    CHECK(made.grown_by == 1246 * mib);
    CHECK(p[1].start == 301 * mib);
    CHECK(p[1].size == 1647 * mib);
    CHECK(p[2].start == 1948 * mib);
    CHECK(p[3].size == 1445 * mib);
    CHECK(p[4].start == 1748 * mib);
    CHECK(made.notes == std::vector<std::string>{
                            "partition 3 (ntfs) moves: on an MBR disk, Windows finds a partition by its position; "
                            "Windows or its recovery system in it must be repaired to start"});
    auto const first = plan(sample_mbr(), 2048 * mib, number(1)).target;
    CHECK(first.partitions[1].start == 1547 * mib);
    CHECK(first.partitions[3].start == 1548 * mib);
}

TEST_CASE("a disk that is too small is refused with the missing bytes and the partition that has room") {
    CHECK(refusal(sample_gpt(), 800 * mib, none) ==
          "the disk is too small for the image's partitions: 70271488 bytes (67 MiB) are missing; partition 3 (ntfs), "
          "which has 300 MiB free, would have to shrink by this much on the source");
    CHECK(refusal(sample_gpt(), 400 * mib, none) ==
          "the disk is too small for the image's partitions: 489701888 bytes (467 MiB) are missing, and no partition "
          "has so much free space");
    CHECK(refusal(sample_gpt(), 867 * mib + 33 * 512, none) == "");
    CHECK(refusal(sample_gpt(), 867 * mib + 33 * 512 - 1, none) != "");
    CHECK(refusal(sample_mbr(), 802 * mib, none) == "");
    CHECK(refusal(sample_mbr(), 802 * mib - 512, none) != "");
}

TEST_CASE("another sector size is refused") {
    CHECK(refusal(sample_gpt(), 2048 * mib, none, 4096) ==
          "the disk has sectors of 4096 bytes, the image's had 512: its partition table and file systems would not be "
          "readable");
}

TEST_CASE("what cannot grow is refused") {
    CHECK(refusal(sample_gpt(), 2048 * mib, number(1)) ==
          "partition 1 (vfat) cannot grow: only ext2, ext3, ext4, ntfs, xfs, btrfs and swap can");
    CHECK(refusal(sample_gpt(), 2048 * mib, number(9)) == "the image has no partition 9 to grow");
    CHECK(refusal(sample_mbr(), 2048 * mib, number(2)) ==
          "partition 2 cannot grow: it is the extended partition; choose a logical one");
    CHECK(plan(sample_gpt(), 1024 * mib - 156 * mib, last).notes ==
          std::vector<std::string>{"partition 6 (ntfs) does not grow: the disk has less than 1 MiB to spare"});
}

TEST_CASE("a btrfs that would stay too small for Linux to resize it does not grow") {
    auto image = sample_gpt();
    auto& recovery = image.partitions[5]; // of 100 MiB, up to 867 MiB of 1 GiB
    REQUIRE(recovery.size == 100 * mib);
    recovery.content.type = "btrfs";
    auto const same = plan(image, 1022 * mib, last);
    CHECK(same.grown == 0);
    CHECK(same.target.partitions == image.partitions);
    CHECK(same.notes ==
          std::vector<std::string>{"partition 6 (btrfs) does not grow: Linux resizes a btrfs to no less than 256 MiB"});
    CHECK(plan(image, 1024 * mib, last).target.partitions[5].size == 256 * mib);
}

TEST_CASE("an MBR stops at 2^32 sectors") {
    auto const made = plan(sample_mbr(), std::int64_t{3} << 40, last);
    CHECK(made.target.partitions[2].end() == std::int64_t{2} << 40);
    CHECK(made.notes ==
          std::vector<std::string>{"1 TiB of the disk stay unused: an MBR does not reach beyond 2^32 sectors"});
}

TEST_CASE("a deployment is found again by the disk's own table") {
    for (auto const& image : {sample_gpt(), sample_mbr()}) {
        for (int const number : {0, 1, 3, 5}) {
            CAPTURE(number);
            auto const planned = plan_deployment(
                image, 4096 * mib, 512,
                number == 0 ? growth{} : growth{growth::choice::numbered, image.table == table_type::gpt ? 3 : number});
            REQUIRE(planned);
            auto disk = planned->target;
            for (auto& partition : disk.partitions) {
                partition.content = {};
                if (disk.table == table_type::gpt) {
                    partition.uuid = guid(77);
                }
            }
            auto const found = find_deployment(image, disk);
            INFO((found ? "" : found.error().message));
            REQUIRE(found);
            CHECK(found->ranges == planned->ranges);
            CHECK(found->grown == planned->grown);
            CHECK(found->grown_by == planned->grown_by);
            CHECK(found->target.partitions[0].content == image.partitions[0].content);
        }
    }
}

TEST_CASE("another disk is not taken for a deployment") {
    auto const image = sample_gpt();
    auto const refused = [&](auto const& change) {
        auto disk = image;
        change(disk);
        auto const found = find_deployment(image, disk);
        return found ? "accepted" : found.error().message;
    };
    CHECK(refused([](disk_layout& disk) { disk.partitions.pop_back(); }) ==
          "partition 6 (ntfs) is missing, or has another type than in the image");
    CHECK(refused([](disk_layout& disk) { disk.partitions[2].type = guid(5); }) ==
          "partition 3 (ntfs) is missing, or has another type than in the image");
    CHECK(refused([](disk_layout& disk) { disk.partitions[3].size -= mib; }) ==
          "partition 4 (ext4) is smaller than in the image");
    CHECK(refused([](disk_layout& disk) {
              disk.partitions[2].size += mib;
              disk.partitions[5].size += mib;
          }) == "partition 6 (ntfs) is the second one that has grown");
    CHECK(refused([](disk_layout& disk) { disk.table = table_type::mbr; }) ==
          "its partition table is of another kind than the image's");
    CHECK(refused([](disk_layout& disk) { disk.partitions.push_back(gpt_partition(7, 900 * mib, mib)); }) ==
          "accepted");
}
