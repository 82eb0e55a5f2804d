#include "core/device/device_overview.hpp"

#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <filesystem>
#include <fstream>
#include <string>

#include <catch2/catch.hpp>

#include "support/loop_device.hpp"
#include "support/sysfs_tree.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

namespace fs = std::filesystem;

void put(fs::path const& path, std::string const& content) {
    fs::create_directories(path.parent_path());
    std::ofstream(path) << content;
}

std::string number_of(std::string const& path) {
    struct ::stat st = {};
    REQUIRE(::stat(path.c_str(), &st) == 0);
    return std::to_string(major(st.st_rdev)) + ":" + std::to_string(minor(st.st_rdev));
}

device_overview look(std::string const& path, system_paths const& paths = {}, fs::path const& by_id = "/nowhere") {
    auto const found = look_over_device(path, paths, by_id);
    INFO((found ? "" : found.error().message));
    REQUIRE(found);
    return *found;
}

} // namespace

TEST_CASE("a file gets the same overview as a device") {
    temp_dir const folder;
    std::string content(1 << 20, '\0');
    content.replace(0, 8, std::string("LUKS\xba\xbe\0\1", 8));
    content.replace(168, 36, "d0d6d1a6-2a17-4b0e-9b6c-4f1f0b1d7a10");
    put(folder / "image", content);
    auto const found = look(folder / "image");
    CHECK_FALSE(found.block_device);
    CHECK(found.size == 1 << 20);
    CHECK(found.content.type == "crypto_LUKS");
    CHECK(found.content.uuid == "d0d6d1a6-2a17-4b0e-9b6c-4f1f0b1d7a10");
    CHECK(found.kernel_name.empty());
    CHECK(found.serial.empty());

    auto const missing = look_over_device(folder / "missing");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().guard == device_guard::missing);
}

TEST_CASE("a disk is described by itself, the kernel and udev") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    auto const number = number_of(loop.path());
    sysfs_tree sysfs;
    temp_dir const folder;
    sysfs.add_disk("devices/x/block/sda", number, 0);
    auto const disk = sysfs.root() / "devices/x/block/sda";
    put(disk / "device/model", "SSD 970 EVO     \n");
    put(disk / "device/vendor", "ATA     \n");
    put(disk / "device/serial", "S1\n");
    put(disk / "wwid", "eui.0025385\n");
    sysfs.add_partition("sda", "sda2", "259:99998", 2);
    sysfs.add_partition("sda", "sda1", "259:99999", 1);
    put(disk / "sda1/start", "2048\n");
    put(disk / "sda1/size", "16\n");
    put(disk / "sda2/start", "4096\n");
    put(disk / "sda2/size", "32\n");
    put(folder / "mounts", "21 20 259:99998 / /mnt/data rw - ext4 /dev/none rw\n");
    for (auto const* const name : {"wwn-0x5002538", "ata-SSD_970_S1", "unrelated"}) {
        fs::create_directories(folder / "by-id");
        fs::create_symlink(std::string(name) == "unrelated" ? "/dev/null" : loop.path(), folder / "by-id" / name);
    }
    system_paths const paths{.sysfs = sysfs.root(), .mountinfo = folder / "mounts", .udev_data = folder / "udev"};
    auto const found = look(loop.path(), paths, folder / "by-id");
    CHECK(found.block_device);
    CHECK(found.size == 16 << 20);
    CHECK(found.kernel_name == "sda");
    CHECK(found.disk.empty());
    CHECK(found.model == "SSD 970 EVO");
    CHECK(found.serial == "S1");
    CHECK(found.wwn == "eui.0025385");
    CHECK(found.by_id == (folder / "by-id/ata-SSD_970_S1").string()); // not the number
    CHECK(found.mount_point.empty());
    REQUIRE(found.partitions.size() == 2);
    CHECK(found.partitions[0].path == "/dev/sda1");
    CHECK(found.partitions[0].size == 8192);
    CHECK(found.partitions[0].mount_point.empty());
    CHECK(found.partitions[1].path == "/dev/sda2");
    CHECK(found.partitions[1].mount_point == "/mnt/data");

    put(disk / "device/vendor", "HITACHI \n");
    CHECK(look(loop.path(), paths).model == "HITACHI SSD 970 EVO");
    put(disk / "device/vendor", "0x1af4\n"); // virtio
    CHECK(look(loop.path(), paths).model == "SSD 970 EVO");
    fs::remove(disk / "device/model");
    put(folder / "udev" / ("b" + number), "E:ID_MODEL=From_udev\nE:ID_WWN=0x1\n");
    CHECK(look(loop.path(), paths).model == "From_udev");
}

TEST_CASE("a partition is described by its disk") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    sysfs_tree sysfs;
    sysfs.add_disk("devices/x/block/nvme0n1", "259:99997", 0);
    sysfs.add_partition("nvme0n1", "nvme0n1p1", number_of(loop.path()), 1);
    put(sysfs.root() / "devices/x/block/nvme0n1/device/model", "Disk\n");
    put(sysfs.root() / "devices/x/block/nvme0n1/device/serial", "S2\n");
    auto const found = look(loop.path(), {.sysfs = sysfs.root(), .mountinfo = "/nowhere", .udev_data = "/nowhere"});
    CHECK(found.kernel_name == "nvme0n1p1");
    CHECK(found.disk == "nvme0n1");
    CHECK(found.model == "Disk");
    CHECK(found.serial == "S2");
    CHECK(found.partitions.empty());
}
