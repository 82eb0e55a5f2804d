#include "core/device/disk_rule.hpp"

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

constexpr std::int64_t gigabyte = 1'000'000'000;

disk_facts disk(std::string name, std::int64_t gigabytes, storage_class cls, std::string transport) {
    return {.path = "/dev/" + name,
            .size = gigabytes * gigabyte,
            .sector_size = 512,
            .model = "Model " + name,
            .serials = {"S-" + name},
            .wwn = "eui." + name,
            .transport = std::move(transport),
            .cls = cls};
}

/// A machine with two internal disks, the live system's USB stick, and a second stick.
std::vector<disk_facts> machine() {
    auto boot = disk("sdb", 64, storage_class::hdd, "usb");
    boot.external = true;
    boot.used = "is mounted on /run/live";
    auto stick = disk("sdc", 500, storage_class::hdd, "usb");
    stick.external = true;
    return {disk("nvme0n1", 500, storage_class::nvme, "nvme"), disk("sda", 2000, storage_class::hdd, "sata"), boot,
            stick};
}

/// The path that the rule chooses, or its refusal.
std::string choose(std::string const& text, std::vector<disk_facts> const& disks, std::int64_t least = 0) {
    auto const rule = parse_disk_rule(text);
    INFO((rule ? "" : rule.error().message));
    REQUIRE(rule);
    auto const chosen = choose_disk(*rule, disks, at_least(least));
    return chosen ? *chosen : chosen.error().message;
}

} // namespace

TEST_CASE("auto takes the only internal disk that is large enough and not in use") {
    auto disks = machine();
    disks[1].used = "is mounted on /";
    CHECK(choose("auto", disks) == "/dev/nvme0n1");
    CHECK(choose("auto", machine(), 600 * gigabyte) == "/dev/sda");
    disks[1].used.clear();
    disks[1].read_only = true;
    CHECK(choose("auto", disks) == "/dev/nvme0n1");
}

TEST_CASE("several disks that match are listed, and none is chosen") {
    CHECK(choose("auto", machine()) ==
          "2 disks match \"auto\": /dev/nvme0n1 (Model nvme0n1, serial S-nvme0n1, NVMe, 466 GiB), /dev/sda (Model sda, "
          "serial S-sda, HDD, 1.8 TiB); name one of them");
    auto const twins =
        std::vector{disk("sda", 500, storage_class::hdd, "sata"), disk("sdb", 500, storage_class::hdd, "sata")};
    CHECK_THAT(choose("largest", twins), Catch::StartsWith("2 disks match \"largest\""));
}

TEST_CASE("if no disk matches, each is listed with the reason") {
    CHECK(choose("hdd", machine(), 3000 * gigabyte) ==
          "no disk matches \"hdd\": /dev/nvme0n1 is of class NVMe; /dev/sda has 1.8 TiB, the image needs 2.7 TiB; "
          "/dev/sdb is external (usb); /dev/sdc is external (usb)");
    CHECK(choose("auto", {}) == "no disk matches \"auto\": this machine has no disks");
}

TEST_CASE("a rule names a property of the disk") {
    auto const disks = machine();
    CHECK(choose("largest", disks) == "/dev/sda");
    CHECK(choose("nvme", disks) == "/dev/nvme0n1");
    CHECK(choose("ssd", disks) == "/dev/nvme0n1");
    CHECK(choose("hdd", disks) == "/dev/sda");
    CHECK(choose("200G..600G", disks) == "/dev/nvme0n1");
    CHECK(choose("..500G", disks) == "/dev/nvme0n1"); // both ends are included
    CHECK(choose("500G..500G", disks) == "/dev/nvme0n1");
    CHECK(choose("1T..", disks) == "/dev/sda");
    CHECK(choose("466GiB..", disks) == "/dev/sda"); // 500 GB are less
    CHECK(choose("serial=S-sda", disks) == "/dev/sda");
    CHECK(choose("wwn=EUI.sda", disks) == "/dev/sda");
    CHECK(choose("model=model NVMe", disks) == "/dev/nvme0n1");
    CHECK(choose("hdd, 100G..", disks) == "/dev/sda");
    CHECK_THAT(choose("nvme,hdd", disks), Catch::StartsWith("no disk matches"));
    CHECK(choose("/dev/any", disks) == "/dev/any");
}

TEST_CASE("an external disk matches only by serial number or WWN, and one in use never") {
    auto const disks = machine();
    CHECK(choose("serial=S-sdc", disks) == "/dev/sdc");
    CHECK(choose("wwn=eui.sdc", disks) == "/dev/sdc");
    CHECK_THAT(choose("model=sdc", disks), Catch::Contains("/dev/sdc is external (usb)"));
    CHECK_THAT(choose("serial=S-sdb", disks), Catch::Contains("/dev/sdb is mounted on /run/live"));
}

TEST_CASE("the largest is chosen of those that meet the other conditions") {
    auto disks = machine();
    disks.push_back(disk("nvme1n1", 1000, storage_class::nvme, "nvme"));
    CHECK(choose("nvme,largest", disks) == "/dev/nvme1n1");
    CHECK(choose("largest,..600G", disks) == "/dev/nvme0n1");
}

TEST_CASE("a text from a disk is printable in a refusal") {
    auto disks = machine();
    disks[0].model = "\x1b[2J";
    CHECK_THAT(choose("auto", disks), Catch::Contains("(?[2J, serial"));
}

TEST_CASE("an invalid rule is refused, quoting the term") {
    for (auto const* const text : {"", "disk", "auto,", "serial=", "..", "5G..2G", "x..5G", "-1G..5G", "99999999T..",
                                   "nvme;ssd", "Auto", "sda"}) {
        INFO(text);
        CHECK_FALSE(parse_disk_rule(text));
    }
    CHECK_THAT(parse_disk_rule("auto,disk").error().message, Catch::StartsWith("'disk' is not a disk rule"));
}

TEST_CASE("the disks of a machine are read from sysfs, udev and the mounts") {
    sysfs_tree sysfs;
    temp_dir const folder;
    auto const add = [&](std::string const& parent, std::string const& bus, std::string const& name,
                         std::string const& number, int rotational) {
        sysfs.add_device(parent, bus);
        sysfs.add_disk(parent + "/block/" + name, number, rotational);
        sysfs.set_attribute(name, "size", "2048");
        sysfs.set_attribute(name, "queue/logical_block_size", "512");
    };
    auto const* const pci = "devices/pci0000:00";
    add(std::string(pci) + "/ata1/host0/target0:0:0/0:0:0:0", "bus/scsi", "sda", "8:0", 1);
    sysfs.set_attribute("sda", "device/model", "Spinning");
    sysfs.set_attribute("sda", "device/vendor", "ATA");
    sysfs.add_partition("sda", "sda1", "8:1", 1);
    sysfs.add_device(std::string(pci) + "/usb1", "bus/usb");
    add(std::string(pci) + "/usb1/host1/target1:0:0/1:0:0:0", "bus/scsi", "sdb", "8:16", 1);
    add("devices/platform/host2/session1/target2:0:0/2:0:0:0", "bus/scsi", "sdc", "8:32", 0);
    add(std::string(pci) + "/ata2/host3/target3:0:0/3:0:0:0", "bus/scsi", "sr0", "11:0", 1);
    sysfs.set_attribute("sr0", "device/type", "5");
    add(std::string(pci) + "/nvme/nvme0", "class/nvme", "nvme0n1", "259:0", 0);
    sysfs.set_attribute("nvme0n1", "wwid", "eui.1");
    sysfs.set_attribute("nvme0n1", "ro", "1");
    sysfs.add_device("devices/virtual/nvme-subsystem/nvme-subsys1", "class/nvme-subsystem");
    sysfs.add_disk("devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n1", "259:1", 0);
    sysfs.set_attribute("nvme1n1", "size", "4096");
    std::filesystem::create_directories(sysfs.root() / "devices/virtual/nvme-subsystem/nvme-subsys1/nvme1");
    std::ofstream(sysfs.root() / "devices/virtual/nvme-subsystem/nvme-subsys1/nvme1/transport") << "tcp\n";
    add(std::string(pci) + "/virtio1", "bus/virtio", "vda", "254:0", 1);
    sysfs.set_attribute("vda", "serial", "V1");
    sysfs.set_attribute("vda", "removable", "1");
    sysfs.add_disk("devices/virtual/block/loop0", "7:0", 0);
    sysfs.set_attribute("loop0", "size", "2048");
    add(std::string(pci) + "/virtio2", "bus/virtio", "vdb", "254:16", 1);
    sysfs.set_attribute("vdb", "size", "0"); // an empty reader
    std::ofstream(folder / "mounts") << "21 20 8:1 / /mnt/data rw - ext4 /dev/none rw\n";
    std::filesystem::create_directory(folder / "udev");
    std::ofstream(folder / "udev/b8:0") << "E:ID_SERIAL_SHORT=U1\n";

    auto const found = list_disks(
        {.sysfs = sysfs.root(), .mountinfo = folder / "mounts", .swaps = "/nowhere", .udev_data = folder / "udev"});
    REQUIRE(found.size() == 6);
    CHECK(found[0].path == "/dev/nvme0n1");
    CHECK(found[0].transport == "nvme");
    CHECK(found[0].cls == storage_class::nvme);
    CHECK(found[0].wwn == "eui.1");
    CHECK(found[0].read_only);
    CHECK_FALSE(found[0].external);
    CHECK(found[0].used.empty());
    CHECK(found[1].transport == "nvme over tcp");
    CHECK(found[1].external);
    CHECK(found[1].size == 4096 * 512);
    CHECK(found[2].path == "/dev/sda");
    CHECK(found[2].size == 1 << 20);
    CHECK(found[2].sector_size == 512);
    CHECK(found[2].model == "Spinning");
    CHECK(found[2].serials == std::vector<std::string>{"U1"});
    CHECK(found[2].transport == "sata");
    CHECK(found[2].cls == storage_class::hdd);
    CHECK(found[2].used == "is mounted on /mnt/data"); // through its partition
    CHECK(found[3].transport == "usb");
    CHECK(found[3].external);
    CHECK(found[4].transport == "iscsi");
    CHECK(found[4].external);
    CHECK(found[5].transport == "virtio");
    CHECK(found[5].external); // removable
    CHECK(found[5].serials == std::vector<std::string>{"V1"});
}
