#include "core/layout/sfdisk_dump.hpp"

#include <string>

#include <catch2/catch.hpp>

#include "support/sample_layouts.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

std::string const gpt_dump = "label: gpt\nlabel-id: 0FC63DAF-8483-4772-8E79-000000000000\ndevice: /dev/nvme0n1\n"
                             "unit: sectors\nfirst-lba: 40\nlast-lba: 2097118\nsector-size: 512\n\n"
                             "/dev/nvme0n1p1 : start=          40, size=         100, "
                             "type=EF00C63D-8483-4772-8E79-000000000001, uuid=0fc63daf-8483-4772-8e79-000000000001, "
                             "name=\"a, \\xc3\\xa4\", attrs=\"RequiredPartition GUID:60,63\"\n";
std::string const mbr_dump = "label: dos\nlabel-id: 0xdeadbeef\ndevice: /dev/sda\nunit: sectors\nsector-size: 512\n\n"
                             "/dev/sda1 : start=          63, size=        1000, type=83, bootable\n"
                             "/dev/sda3 : start=        2048, size=      100000, type=f\n"
                             "/dev/sda5 : start=        4096, size=        1000, type=82\n";

std::string refusal(std::string const& text) {
    auto const found = parse_sfdisk_dump(text, "pt.sf");
    return found ? "" : found.error().message;
}

} // namespace

TEST_CASE("a dump of a GPT") {
    auto const found = parse_sfdisk_dump(gpt_dump, "pt.sf");
    INFO((found ? "" : found.error().message));
    REQUIRE(found);
    CHECK(found->disk_size == 1024 * mib);
    CHECK(found->first_usable == 40 * 512);
    auto const& partition = found->partitions.at(0);
    CHECK(partition.start == 40 * 512);
    CHECK(partition.uuid == guid(1));
    CHECK(partition.name == "a, \xc3\xa4");
    CHECK(partition.attributes == 0x9000000000000001);
}

TEST_CASE("a dump of an MBR") {
    auto const found = parse_sfdisk_dump(mbr_dump, "pt.sf", 64 * mib);
    INFO((found ? "" : found.error().message));
    REQUIRE(found);
    CHECK(found->id == "deadbeef");
    CHECK(found->disk_size == 64 * mib);
    CHECK(found->partitions.at(0).bootable);
    CHECK(found->partitions.at(1).role == partition_role::extended);
    CHECK(found->partitions.at(2).role == partition_role::logical);
    CHECK(found->partitions.at(2).type == "82");
}

TEST_CASE("malformed dumps are refused") {
    CHECK(refusal("") == "pt.sf: its label is neither gpt nor dos");
    CHECK(refusal("nonsense\n") == "pt.sf:1: expected 'NAME: VALUE', or a partition");
    CHECK(refusal("label: gpt\nlabel: gpt\n") == "pt.sf:2: a second label");
    CHECK(refusal(mbr_dump + "/dev/sdb2 : start=1, size=1, type=83\n") ==
          "pt.sf:10: the partition's name is not the device's and a number");
    CHECK(refusal(mbr_dump + "/dev/sda1 : start=1, size=1, type=83\n") == "pt.sf:10: a second partition 1");
    CHECK(refusal(mbr_dump + "/dev/sda2 : start=-1, size=1, type=83\n") ==
          "pt.sf:10: start is not a number of sectors");
    CHECK(refusal(mbr_dump + "/dev/sda2 : start=1, start=1\n") == "pt.sf:10: a field occurs twice");
    CHECK(refusal(mbr_dump + "/dev/sda2 : start=1, size=1, type=83, x=1\n") ==
          "pt.sf:10: an unknown or malformed field");
    CHECK(refusal(mbr_dump + "/dev/sda2 : start=500, size=100, type=83\n") == "pt.sf: partition 2 overlaps another");
    CHECK(refusal(mbr_dump + "/dev/sda2 : start=0, size=0, type=0\n") == ""); // an unused entry
    for (std::string const size : {"0", "1", "513", "65536", "x"}) {
        CHECK(refusal("label: gpt\nunit: sectors\nsector-size: " + size + "\n") ==
              "pt.sf: its sector-size is not 512, 1024, 2048 or 4096");
    }
}
