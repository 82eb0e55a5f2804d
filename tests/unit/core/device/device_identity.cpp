#include "core/device/device_identity.hpp"

#include <chrono>
#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <catch2/catch.hpp>

#include "core/foundation/unique_fd.hpp"
#include "support/loop_device.hpp"
#include "support/sysfs_tree.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;

namespace {

device_identity disk() {
    device_identity identity;
    identity.block_device = true;
    identity.size = 1 << 20;
    identity.disk_sequence = 7;
    identity.boot = "now";
    identity.sectors_written = 100;
    identity.disk_sectors_written = 500;
    return identity;
}

void append(std::filesystem::path const& file, std::string const& text) {
    std::ofstream(file, std::ios::app) << text;
}

} // namespace

TEST_CASE("a disk with a serial number is identified by it, also after a reboot") {
    auto then = disk();
    then.serials = {"S1", "MODEL_S1"};
    auto now = then;
    now.disk_sequence = 1;
    now.boot = "later";
    now.serials = {"MODEL_S1"};
    CHECK_FALSE(why_other_device(then, now));
    now.serials = {"S2"};
    CHECK(why_other_device(then, now) == "its disk has the serial number S2 instead of S1");
    now.serials = {"S1"};
    now.start = 512;
    CHECK(why_other_device(then, now) == "it is at another place on its disk");
}

TEST_CASE("a disk without one is identified until the next boot") {
    auto const then = disk();
    auto now = then;
    CHECK_FALSE(why_other_device(then, now));
    now.disk_sequence = 8;
    CHECK(why_other_device(then, now) == "it is another disk");
    now = then;
    now.boot = "later";
    CHECK(why_other_device(then, now) == "it has no serial number that identifies it");
    now = then;
    now.block_device = false;
    CHECK(why_other_device(then, now) == "it is no longer a block device");
}

TEST_CASE("the kernel's counter shows writes until the next boot") {
    auto const then = disk();
    auto now = then;
    CHECK(changed_since(then, now) == device_change::none);
    now.sectors_written = 101;
    CHECK(changed_since(then, now) == device_change::written);
    now.boot = "later"; // counted from 0 again
    CHECK(changed_since(then, now) == device_change::unknown);
    now = then;
    now.sectors_written = -1;
    CHECK(changed_since(then, now) == device_change::unknown);
    now = then;
    now.disk_sequence = 0;
    CHECK(changed_since(then, now) == device_change::unknown);
}

TEST_CASE("a write through the whole disk may have changed a partition") {
    auto const then = disk();
    auto now = then;
    now.disk_sectors_written = 501;
    CHECK(changed_since(then, now) == device_change::unknown);
    now.sectors_written = 101;
    CHECK(changed_since(then, now) == device_change::written);
    now = then;
    now.disk_sectors_written = -1; // as in a checkpoint of an earlier version
    CHECK(changed_since(then, now) == device_change::unknown);
    CHECK(changed_since(now, then) == device_change::unknown);
}

TEST_CASE("a partition has two counters: its own and that of its disk") {
    test::sysfs_tree tree;
    tree.add_disk("devices/pci0/ata1/block/sda", "8:0", 0);
    tree.add_partition("sda", "sda1", "8:1", 1);
    tree.set_attribute("sda", "queue/iostats", "1");
    tree.set_attribute("sda", "stat", "1 1 1 1 1 1 700 1 1 1 1 1 1 70 1 1 1");
    tree.set_attribute("sda1", "stat", "1 1 1 1 1 1 300 1 1 1 1 1 1 30 1 1 1");
    system_paths paths;
    paths.sysfs = tree.root();
    auto const partition = identify_block_device(makedev(8, 1), paths);
    CHECK(partition.sectors_written == 330);
    CHECK(partition.disk_sectors_written == 770);
    auto const whole = identify_block_device(makedev(8, 0), paths);
    CHECK(whole.sectors_written == 770);
    CHECK(whole.disk_sectors_written == 770);
}

TEST_CASE("replacing a file changes its identity, and writing to it shows as a write") {
    test::temp_dir const folder;
    auto const file = (folder.path() / "image").string();
    CHECK(identify_device(file).error().message == file + ": No such file or directory (ENOENT)");
    append(file, "a");
    auto const then = identify_device(file).value();
    CHECK_FALSE(then.block_device);
    CHECK(then.size == 1);
    auto now = identify_device(file).value();
    CHECK(now == then);
    CHECK_FALSE(why_other_device(then, now));
    CHECK(changed_since(then, now) == device_change::none);

    std::filesystem::last_write_time(file, std::filesystem::file_time_type::clock::now() + std::chrono::seconds(1));
    now = identify_device(file).value();
    CHECK_FALSE(why_other_device(then, now));
    CHECK(changed_since(then, now) == device_change::written);

    append(file, "b");
    CHECK(why_other_device(then, identify_device(file).value()) == "its size was 1 bytes and is 2");
    append(file + ".new", "c");
    std::filesystem::rename(file + ".new", file);
    CHECK(why_other_device(then, identify_device(file).value()) == "it is another file");
}

TEST_CASE("a real device counts writes to it, and no reads") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    test::loop_device device({.partitions = true});
    auto const partition = device.add_partition(1, 1 << 20, 1 << 20);
    auto const then = identify_device(device.path()).value();
    auto const of_partition = identify_device(partition).value();
    CHECK(then.size == 16 << 20);
    CHECK(of_partition.size == 1 << 20);
    CHECK(of_partition.start == 1 << 20);
    if (then.sectors_written < 0 || then.disk_sequence == 0) {
        WARN("SKIPPED: this kernel does not count");
        return;
    }
    CHECK(of_partition.disk_sequence == then.disk_sequence);
    CHECK(why_other_device(then, of_partition).has_value());

    std::vector<char> bytes(4096, 'x');
    auto const transfer = [&](bool write) {
        unique_fd const fd(::open(device.path().c_str(), (write ? O_WRONLY : O_RDONLY) | O_CLOEXEC));
        REQUIRE(fd);
        auto const count = write ? ::pwrite(fd.get(), bytes.data(), bytes.size(), 0)
                                 : ::pread(fd.get(), bytes.data(), bytes.size(), 0);
        REQUIRE(count == static_cast<ssize_t>(bytes.size()));
        REQUIRE(::fsync(fd.get()) == 0);
    };
    transfer(false);
    CHECK(changed_since(then, identify_device(device.path()).value()) == device_change::none);
    transfer(true);
    CHECK(changed_since(then, identify_device(device.path()).value()) == device_change::written);
    CHECK_FALSE(why_other_device(then, identify_device(device.path()).value()));
    auto written = identify_device(partition).value();
    CHECK(written.sectors_written == of_partition.sectors_written); // it does not see the write, though it may be hit
    CHECK(written.disk_sectors_written > of_partition.disk_sectors_written);
    written.changed = of_partition.changed; // only a loop device has a file that tells it
    CHECK(changed_since(of_partition, written) == device_change::unknown);
}
