#include "core/layout/disk_ids.hpp"

#include <algorithm>
#include <set>
#include <string>

#include <catch2/catch.hpp>

#include "support/sample_layouts.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

disk_layout without_windows(disk_layout layout) {
    for (auto& partition : layout.partitions) {
        if (partition.role != partition_role::extended) {
            partition.content.type = "ext4";
            partition.content.swap_page = 0;
        }
    }
    return layout;
}

} // namespace

TEST_CASE("new ids replace every id of a GPT") {
    auto layout = without_windows(sample_gpt());
    auto const before = layout;
    REQUIRE(make_new_ids(layout));
    CHECK(check_layout(layout));
    std::set<std::string> ids{layout.id, before.id};
    for (std::size_t i = 0; i < layout.partitions.size(); ++i) {
        ids.insert(layout.partitions[i].uuid);
        ids.insert(before.partitions[i].uuid);
        CHECK(layout.partitions[i].uuid[14] == '4');
        CHECK(layout.partitions[i].type == before.partitions[i].type);
    }
    CHECK(ids.size() == 14);
}

TEST_CASE("a new signature of an MBR is never 0") {
    auto layout = without_windows(sample_mbr());
    int calls = 0;
    REQUIRE(make_new_ids(layout, [&](std::span<unsigned char> bytes) {
        std::ranges::fill(bytes, static_cast<unsigned char>(calls++));
    }));
    CHECK(layout.id == "01010101");
    CHECK(check_layout(layout));
    CHECK(layout.partitions[0].uuid.empty());
}

TEST_CASE("a disk from which Windows starts keeps its ids") {
    auto gpt = without_windows(sample_gpt());
    auto mbr = without_windows(sample_mbr());
    CHECK(windows_sign(gpt) == std::nullopt);
    CHECK(windows_sign(mbr) == std::nullopt);
    gpt.partitions[1].type = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE";
    CHECK(windows_sign(gpt) == "partition 2 (ext4) is a Microsoft reserved partition");
    gpt.partitions[1].type = "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC";
    CHECK(windows_sign(gpt) == "partition 2 (ext4) is a Windows recovery partition");
    gpt.partitions[1].type = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7";
    gpt.partitions[1].content.type = "ntfs";
    CHECK(windows_sign(gpt) == std::nullopt); // a data disk
    gpt.partitions[0].type = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
    CHECK(windows_sign(gpt) == "partition 2 (ntfs) is on a disk with an EFI system partition");
    mbr.partitions[0].content.type = "ntfs";
    CHECK(windows_sign(mbr) == "partition 1 (ntfs) is active");
    auto const refused = make_new_ids(mbr);
    REQUIRE_FALSE(refused);
    CHECK(refused.error().message == "new ids refused: partition 1 (ntfs) is active, and Windows' boot configuration "
                                     "identifies the disk by its present ids");
    CHECK(mbr.id == "deadbeef");
}
