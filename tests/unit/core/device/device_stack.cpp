#include "core/device/device_stack.hpp"

#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "support/sysfs_tree.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

storage_id disk(unsigned major, unsigned minor) {
    return {true, makedev(major, minor), 0};
}

storage_part part(storage_id const& id, std::int64_t begin, std::int64_t end, bool exact = true) {
    return {.id = id, .begin = begin, .end = end, .exact = exact};
}

/// A disk with two partitions; two logical volumes on the second; a file and a loop device on 4 KiB of it from 1 MiB.
struct machine {
    machine() {
        sysfs.add_disk("devices/x/block/sda", "8:0", 1);
        sysfs.set_attribute("sda", "size", "8192");
        sysfs.add_partition("sda", "sda1", "8:1", 1);
        sysfs.set_attribute("sda1", "start", "2048");
        sysfs.set_attribute("sda1", "size", "2048");
        sysfs.add_partition("sda", "sda2", "8:2", 2);
        sysfs.set_attribute("sda2", "start", "4096");
        sysfs.set_attribute("sda2", "size", "4096");
        for (auto const* const volume : {"dm-0", "dm-1"}) {
            sysfs.add_disk(std::string("devices/virtual/block/") + volume, "253:" + std::string(volume).substr(3), 1);
            sysfs.add_holder(volume, "sda2");
        }
        std::ofstream(folder / "file\n1") << "bytes";
        sysfs.add_disk("devices/virtual/block/loop7", "7:7", 1);
        sysfs.set_attribute("loop7", "size", "8");
        sysfs.set_attribute("loop7", "loop/backing_file", (folder / "file\n1").string());
        sysfs.set_attribute("loop7", "loop/offset", "1048576");
    }

    [[nodiscard]] device_stack of(unsigned major, unsigned minor) const {
        return stack_of(makedev(major, minor), paths());
    }
    [[nodiscard]] device_stack of_file() const {
        struct ::stat status = {};
        REQUIRE(::stat((folder / "file\n1").c_str(), &status) == 0);
        return stack_of(status, paths());
    }
    [[nodiscard]] system_paths paths() const { return {.sysfs = sysfs.root(), .nodes = folder / "dev"}; }

    sysfs_tree sysfs;
    temp_dir folder;
};

std::vector<std::string> names(std::vector<stacked_device> const& devices) {
    std::vector<std::string> found;
    for (auto const& device : devices) {
        found.push_back(device.name);
    }
    return found;
}

} // namespace

TEST_CASE("ranges of one device overlap if they have a byte in common") {
    auto const a = disk(8, 0);
    CHECK(overlap({{part(a, 0, 10)}}, {{part(a, 9, 20)}}));
    CHECK(overlap({{part(a, 9, 20)}}, {{part(a, 0, 10)}}));
    CHECK(overlap({{part(a, 0, 100)}}, {{part(a, 5, 6)}}));
    CHECK_FALSE(overlap({{part(a, 0, 10)}}, {{part(a, 10, 20)}}));
    CHECK_FALSE(overlap({{part(a, 10, 20)}}, {{part(a, 0, 10)}}));
    CHECK_FALSE(overlap({{part(a, 0, 10)}}, {{part(disk(8, 16), 0, 10)}}));
    CHECK_FALSE(overlap({{part({false, 8, 1}, 0, 10)}}, {{part({false, 8, 2}, 0, 10)}}));
    CHECK_FALSE(overlap({}, {{part(a, 0, 10)}}));
    CHECK(overlap({{part(disk(7, 0), 0, 10), part(a, 0, 10)}}, {{part(disk(7, 1), 0, 10), part(a, 5, 9)}}));
}

TEST_CASE("an unknown part of a range overlaps a known one, and no other unknown part") {
    auto const a = disk(8, 0);
    CHECK(overlap({{part(a, 0, 10, false)}}, {{part(a, 5, 6)}}));
    CHECK(overlap({{part(a, 5, 6)}}, {{part(a, 0, 10, false)}}));
    CHECK_FALSE(overlap({{part(a, 0, 10, false)}}, {{part(a, 0, 10, false)}}));
}

TEST_CASE("a partition is at its place on its disk") {
    machine const here;
    auto const stack = here.of(8, 2);
    REQUIRE(stack.size() == 2);
    CHECK(stack[1].id == disk(8, 0));
    CHECK(stack[1].begin == 4096 * 512);
    CHECK(stack[1].end == 8192 * 512);
    CHECK_FALSE(overlap(here.of(8, 1), stack));
    CHECK(overlap(here.of(8, 0), stack));
    CHECK(stands_on(stack, disk(8, 0)));
    CHECK_FALSE(stands_on(here.of(8, 0), disk(8, 2)));
}

TEST_CASE("a loop device is at its range of its file") {
    machine const here;
    auto const stack = here.of(7, 7);
    REQUIRE(stack.size() == 2);
    CHECK_FALSE(stack[1].id.block_device);
    CHECK(stack[1].begin == 1 << 20);
    CHECK(stack[1].end == (1 << 20) + 4096);
    CHECK(stack[1].path == (here.folder / "file\n1").string());
    CHECK(overlap(stack, here.of_file()));
    CHECK(names(devices_above(here.of_file(), here.paths())) == std::vector<std::string>{"loop7"});
    CHECK(devices_above(stack, here.paths()).empty());
}

TEST_CASE("logical volumes are on top of their partition and its disk, and not of each other") {
    machine const here;
    using list = std::vector<std::string>;
    CHECK(names(devices_above(here.of(8, 0), here.paths())) == list{"dm-0", "dm-1"});
    CHECK(names(devices_above(here.of(8, 2), here.paths())) == list{"dm-0", "dm-1"});
    CHECK(devices_above(here.of(8, 1), here.paths()).empty());
    CHECK(devices_above(here.of(253, 0), here.paths()).empty());
    CHECK(overlap(here.of(253, 0), here.of(8, 2)));
    CHECK_FALSE(overlap(here.of(253, 0), here.of(253, 1)));
    CHECK_FALSE(overlap(here.of(253, 0), here.of(8, 1)));
}

TEST_CASE("a cycle of devices ends") {
    machine here;
    here.sysfs.add_holder("dm-1", "dm-0");
    here.sysfs.add_holder("dm-0", "dm-1");
    CHECK(overlap(here.of(253, 0), here.of(8, 2)));
}
