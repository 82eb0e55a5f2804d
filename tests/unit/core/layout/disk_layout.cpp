#include "core/layout/disk_layout.hpp"

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "support/sample_layouts.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

using change = std::function<void(disk_layout&)>;

std::string refusal(disk_layout layout, change const& damage) {
    damage(layout);
    auto const checked = check_layout(layout);
    return checked ? "" : checked.error().message;
}

std::string parse_refusal(std::string const& bytes) {
    auto const parsed = parse_disk_layout(bytes);
    return parsed ? "" : parsed.error().message;
}

std::string replaced(std::string text, std::string const& from, std::string const& to) {
    auto const at = text.find(from);
    REQUIRE(at != std::string::npos);
    return text.replace(at, from.size(), to);
}

} // namespace

TEST_CASE("a layout is unchanged by the way into an info dictionary and back") {
    for (auto const& layout : {sample_gpt(), sample_mbr()}) {
        REQUIRE(check_layout(layout));
        auto const parsed = parse_disk_layout(to_bencode(layout));
        INFO((parsed ? "" : parsed.error().message));
        REQUIRE(parsed);
        CHECK(*parsed == layout);
    }
}

TEST_CASE("the largest layout fits its limit") {
    auto layout = sample_gpt();
    layout.entries = most_table_entries;
    layout.first_usable = 2 * mib;
    layout.gap_start = layout.gap_size = 0;
    layout.disk_size = std::int64_t{1} << 62;
    layout.partitions.clear();
    for (int i = 1; i <= most_table_entries; ++i) {
        auto partition = gpt_partition(i, i * 2 * mib, mib, "ext4");
        for (int unit = 0; unit < 36; ++unit) {
            partition.name += "\xe2\x82\xac";
        }
        partition.attributes = ~std::uint64_t{0};
        partition.content.label = std::string(256, 'x');
        partition.content.uuid = std::string(64, 'x');
        layout.partitions.push_back(partition);
    }
    auto const parsed = parse_disk_layout(to_bencode(layout));
    INFO((parsed ? "" : parsed.error().message));
    CHECK(parsed);
}

TEST_CASE("what contradicts a GPT is refused") {
    std::vector<std::pair<change, std::string>> const cases{
        {[](auto& d) { d.sector_size = 513; }, "sector size 513 is not 512, 1024, 2048 or 4096"},
        {[](auto& d) { d.sector_size = 0; }, "sector size 0 is not 512, 1024, 2048 or 4096"},
        {[](auto& d) { d.disk_size += 1; }, "disk size 1073741825 is not a number of whole sectors"},
        {[](auto& d) { d.id = "x"; }, "the disk's id is not a GUID"},
        {[](auto& d) { d.id[9] = 'a'; }, "the disk's id is not a GUID"},
        {[](auto& d) { d.entries = 1025; }, "a GPT of 1025 entries"},
        {[](auto& d) { d.first_usable = 33 * 512; }, "first usable byte 16896 is inside the GPT or beyond"},
        {[](auto& d) { d.boot_code = std::string(440, '\0'); }, "the boot code is not 440 bytes, or all zero"},
        {[](auto& d) { d.boot_code = "x"; }, "the boot code is not 440 bytes, or all zero"},
        {[](auto& d) { std::swap(d.partitions[0], d.partitions[1]); }, "partition 1 is not in the order of numbers"},
        {[](auto& d) { d.partitions[1].number = 1; }, "partition 1 is not in the order of numbers"},
        {[](auto& d) { d.partitions[5].number = 129; }, "partition 129 has a number beyond the table's entries"},
        {[](auto& d) { d.partitions[0].start += 1; }, "partition 1 does not consist of whole sectors"},
        {[](auto& d) { d.partitions[0].size = 0; }, "partition 1 does not consist of whole sectors"},
        {[](auto& d) { d.partitions[0].size = std::int64_t{1} << 62; },
         "partition 1 lies outside the disk's usable range"},
        {[](auto& d) { d.partitions[0].start = 33 * 512; }, "partition 1 lies outside the disk's usable range"},
        {[](auto& d) { d.partitions[5].size = 257 * mib; }, "partition 6 lies outside the disk's usable range"},
        {[](auto& d) { d.partitions[1].start -= 512; }, "partition 2 overlaps another"},
        {[](auto& d) { d.partitions[1].uuid = d.partitions[0].uuid; }, "partition 2 has the id of another"},
        {[](auto& d) { d.partitions[1].type = "83"; }, "partition 2 has a type or id that is not a GUID"},
        {[](auto& d) { d.partitions[1].name = "\xc0\x80"; },
         "partition 2 has a name that is not UTF-8 of at most 36 characters"},
        {[](auto& d) { d.partitions[1].name = std::string(37, 'x'); },
         "partition 2 has a name that is not UTF-8 of at most 36 characters"},
        {[](auto& d) { d.partitions[1].bootable = true; }, "partition 2 of a GPT has a field of an MBR"},
        {[](auto& d) { d.partitions[4].content.swap_page = 0; }, "partition 5 has a swap page size of 0"},
        {[](auto& d) { d.partitions[3].content.swap_page = 4096; }, "partition 4 has a swap page size of 4096"},
        {[](auto& d) { d.partitions[3].content.used += 1; }, "partition 4 has content larger than itself"},
        {[](auto& d) { d.partitions[3].content.type = "a b"; },
         "partition 4 has content whose type, id or label is too long or not text"},
        {[](auto& d) { d.gap_size += 512; }, "the gap for a boot loader does not end before the first partition"},
        {[](auto& d) { d.gap_start -= 512; }, "the gap for a boot loader is misplaced"},
        {[](auto& d) { d.gap_size = -512; }, "the gap for a boot loader is misplaced"},
    };
    for (auto const& [damage, message] : cases) {
        CHECK(refusal(sample_gpt(), damage) == message);
    }
}

TEST_CASE("what contradicts an MBR is refused") {
    std::vector<std::pair<change, std::string>> const cases{
        {[](auto& d) { d.id = "DEADBEEF"; }, "the disk's signature is not 8 hex digits"},
        {[](auto& d) { d.entries = 4; }, "an MBR with fields of a GPT"},
        {[](auto& d) { d.partitions[0].type = "0"; }, "partition 1 has a type that is no MBR partition's"},
        {[](auto& d) { d.partitions[0].type = "ee"; }, "partition 1 has a type that is no MBR partition's"},
        {[](auto& d) { d.partitions[0].type = "0f"; }, "partition 1 has a type that contradicts its role"},
        {[](auto& d) { d.partitions[1].type = "83"; }, "partition 2 has a type that contradicts its role"},
        {[](auto& d) { d.partitions[2].number = 5; }, "partition 5 has a number that contradicts its role"},
        {[](auto& d) { d.partitions[0].uuid = guid(1); }, "partition 1 of an MBR has a field of a GPT"},
        {[](auto& d) { d.partitions[1].content.type = "ext4"; }, "partition 2 is extended and has content"},
        {[](auto& d) { d.partitions[4].number = 7; }, "partition 7 is logical, and not numbered consecutively from 5"},
        {[](auto& d) { d.partitions[4].size += 512; }, "partition 6 lies outside the extended partition"},
        {[](auto& d) { d.partitions[3].start = d.partitions[1].start; },
         "partition 5 overlaps another or leaves no room for its table entry"},
        {[](auto& d) { d.partitions[3].size += mib; },
         "partition 6 overlaps another or leaves no room for its table entry"},
        {[](auto& d) {
             d.partitions[2] = d.partitions[1];
             d.partitions[2].number = 3;
         },
         "partition 3 is a second extended partition"},
        {[](auto& d) { d.partitions.erase(d.partitions.begin() + 1); },
         "partition 5 lies outside the extended partition"},
        {[](auto& d) {
             d.disk_size = std::int64_t{1} << 50;
             d.partitions[2].size = std::int64_t{512} << 32;
         },
         "partition 3 is beyond what an MBR can hold"},
    };
    for (auto const& [damage, message] : cases) {
        CHECK(refusal(sample_mbr(), damage) == message);
    }
}

TEST_CASE("a malformed dictionary is refused") {
    auto const good = to_bencode(sample_gpt());
    CHECK(parse_refusal("") != "");
    CHECK(parse_refusal("le") == "disk layout: the dictionary is not a dictionary");
    CHECK(parse_refusal(good + "x") != "");
    CHECK(parse_refusal(replaced(good, "7:versioni1e", "7:versioni2e")) ==
          "disk layout: the dictionary has version 2, and this program reads version 1");
    CHECK(parse_refusal(replaced(good, "7:versioni1e", "7:versjoni1e")) ==
          "disk layout: the dictionary has version 0, and this program reads version 1");
    CHECK(parse_refusal(replaced(good, "5:table3:gpt", "5:table3:sun")) ==
          "disk layout: the dictionary has an unknown type of partition table");
    CHECK(parse_refusal(replaced(good, "6:numberi1e", "6:numberi0e")) ==
          "disk layout: entry 1 of the partitions has 'number' outside its range");
    CHECK(parse_refusal(replaced(good, "6:numberi1e", "6:number1:1")) ==
          "disk layout: entry 1 of the partitions has 'number' that is not a number");
    CHECK(parse_refusal(replaced(good, "4:usedi", "4:usadi")) ==
          "disk layout: the content in entry 1 of the partitions has an unknown key 'usad'");
    CHECK(parse_refusal(replaced(good, "16:8000000000000001", "16:800000000000000g")) ==
          "disk layout: entry 6 of the partitions has attributes that are not 16 hex digits");
    CHECK(parse_refusal(replaced(good, "16:8000000000000001", "16:800000000000000A")) ==
          "disk layout: its keys or values are malformed or out of order");
    CHECK(parse_refusal(replaced(good, "5:table3:gpt7:versioni1e", "7:versioni1e5:table3:gpt")) ==
          "disk layout: its keys or values are malformed or out of order");
    CHECK(parse_refusal(replaced(good, "6:numberi2e", "6:numberi1e")) ==
          "disk layout: partition 1 is not in the order of numbers");
    CHECK(parse_refusal(replaced(to_bencode(sample_mbr()), "7:logical", "7:illogic")) ==
          "disk layout: entry 4 of the partitions has an unknown role");
    CHECK(parse_refusal(std::string(longest_layout + 1, 'd')) == "disk layout: more than 2 MiB");
}

TEST_CASE("every truncated dictionary is refused") {
    auto const good = to_bencode(sample_mbr());
    for (std::size_t length = 0; length < good.size(); ++length) {
        REQUIRE(parse_refusal(good.substr(0, length)) != "");
    }
}

TEST_CASE("messages name a partition by number and content") {
    auto const layout = sample_gpt();
    CHECK(describe(layout.partitions[2]) == "partition 3 (ntfs)");
    CHECK(describe(layout.partitions[1]) == "partition 2");
    CHECK(find_partition(layout, 5)->content.type == "swap");
    CHECK(find_partition(layout, 7) == nullptr);
}
