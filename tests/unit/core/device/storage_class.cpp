#include "core/device/storage_class.hpp"

#include <fstream>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <catch2/catch.hpp>

#include "support/sysfs_tree.hpp"

using namespace seedbed;
using seedbed::test::sysfs_tree;
using seedbed::test::temp_dir;
namespace fs = std::filesystem;

namespace {

// The layouts below that name "Linux 6.1 under QEMU" are what `find /sys -type l` printed there for the device named;
// tests/integration/qemu_device_classes.sh boots the same devices.

fs::path const pci = "devices/pci0000:00";

/// A SATA disk. Source: Linux 6.1 under QEMU, `ide-hd` on `ahci`; ataN is not a device of a bus
/// (drivers/ata/libata-transport.c).
void add_sata_disk(sysfs_tree& sysfs, std::string const& name, std::string const& number, int host, int rotational) {
    auto const n = std::to_string(host);
    sysfs.add_device(pci / "0000:00:05.0", "bus/pci");
    auto const host_folder = pci / "0000:00:05.0" / ("ata" + std::to_string(host + 1)) / ("host" + n);
    sysfs.add_device(host_folder, "bus/scsi");
    sysfs.add_device(host_folder / ("target" + n + ":0:0"), "bus/scsi");
    auto const unit = host_folder / ("target" + n + ":0:0") / (n + ":0:0:0");
    sysfs.add_device(unit, "bus/scsi");
    sysfs.add_disk(unit / "block" / name, number, rotational);
}

/// An NVMe disk. Source: Linux 6.1 under QEMU, `nvme` with one namespace (drivers/nvme/host/core.c, nvme_alloc_ns).
void add_nvme_disk(sysfs_tree& sysfs, std::string const& name = "nvme0n1", int rotational = 0) {
    sysfs.add_device(pci / "0000:00:02.0", "bus/pci");
    sysfs.add_device(pci / "0000:00:02.0/nvme/nvme0", "class/nvme");
    sysfs.add_disk(pci / "0000:00:02.0/nvme/nvme0" / name, "259:1", rotational);
}

/// A dm device. Source: Linux 6.1 under QEMU, dmsetup; the kernel says rotational=0 unless all beneath is rotating.
void add_dm(sysfs_tree& sysfs, int minor, int rotational) {
    auto const name = "dm-" + std::to_string(minor);
    sysfs.add_disk("devices/virtual/block/" + name, "253:" + std::to_string(minor), rotational);
    sysfs.set_attribute(name, "dm/name", "vg-" + std::to_string(minor));
}

/// An md array. Source: Documentation/admin-guide/md.rst ("MD devices in sysfs"), drivers/md/md.c
/// (bd_link_disk_holder).
void add_md(sysfs_tree& sysfs, std::string const& level) {
    sysfs.add_disk("devices/virtual/block/md0", "9:0", 0);
    sysfs.set_attribute("md0", "md/level", level);
}

/// A disk behind a USB mass-storage bridge. Source: Linux 6.1 under QEMU, `usb-storage` (1) and `usb-uas` (0) on
/// `qemu-xhci`.
void add_usb_disk(sysfs_tree& sysfs, std::string const& name, int rotational) {
    auto const hub = pci / "0000:00:07.0/usb2";
    sysfs.add_device(pci / "0000:00:07.0", "bus/pci");
    sysfs.add_device(hub, "bus/usb");
    sysfs.add_device(hub / "2-1", "bus/usb");
    sysfs.add_device(hub / "2-1/2-1:1.0", "bus/usb");
    sysfs.add_device(hub / "2-1/2-1:1.0/host7", "bus/scsi");
    sysfs.add_device(hub / "2-1/2-1:1.0/host7/target7:0:0", "bus/scsi");
    sysfs.add_device(hub / "2-1/2-1:1.0/host7/target7:0:0/7:0:0:0", "bus/scsi");
    sysfs.add_disk(hub / "2-1/2-1:1.0/host7/target7:0:0/7:0:0:0/block" / name, "8:48", rotational);
}

/// An eMMC chip or SD card. Source: Linux 6.1 under QEMU, `sd-card` on `sdhci-pci`; "type" is in
/// drivers/mmc/core/bus.c.
void add_mmc_disk(sysfs_tree& sysfs, std::string const& type) {
    auto const card = pci / "0000:00:08.0/mmc_host/mmc0/mmc0:0001";
    sysfs.add_device(pci / "0000:00:08.0", "bus/pci");
    sysfs.add_device(pci / "0000:00:08.0/mmc_host/mmc0", "class/mmc_host");
    sysfs.add_device(card, "bus/mmc");
    std::ofstream(sysfs.root() / card / "type") << type << '\n';
    sysfs.add_disk(card / "block/mmcblk0", "179:0", 0);
}

/// A loop device. Source: Documentation/ABI/testing/sysfs-block-loop and Linux 6.1 under QEMU; "loop" exists while a
/// file is attached (drivers/block/loop.c, loop_sysfs_init).
void add_loop(sysfs_tree& sysfs, std::optional<fs::path> const& backing_file) {
    sysfs.add_disk("devices/virtual/block/loop0", "7:0", 1);
    if (backing_file) {
        sysfs.set_attribute("loop0", "loop/backing_file", backing_file->string());
    }
}

/// "MAJOR:MINOR" of the file system that a file or folder is on.
std::string device_of_file_system(fs::path const& path) {
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    return std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
}

/// A file, and the kernel's description of its file system.
struct file_on_disk {
    temp_dir folder;
    fs::path path = folder / "disk image";
    std::string device; ///< of its file system
    std::string mount;  ///< id of the mount; empty if the kernel is too old to report it

    file_on_disk() {
        std::ofstream(path) << "data";
        struct statx status {};
        REQUIRE(::statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE | STATX_MNT_ID, &status) == 0);
        device = device_of_file_system(path);
        if ((status.stx_mask & STATX_MNT_ID) != 0) {
            mount = std::to_string(status.stx_mnt_id);
        }
    }

    /// A mountinfo in which the file's mount, among others, is of \p type. Format: proc(5).
    fs::path mountinfo(std::string const& type, std::string const& source, std::string const& options = "rw") const {
        auto const file = folder / "mountinfo";
        std::ofstream(file) << "1" << mount << " 1 0:99 / / rw - ext4 /dev/sdz9 rw\n"
                            << mount << " 1 0:50 /sub /mnt/a rw,relatime shared:1 master:2 - " << type << ' ' << source
                            << ' ' << options << '\n';
        return file;
    }
};

void check(storage_class_decision const& decision, storage_class cls, std::string const& evidence) {
    CHECK(decision.cls == cls);
    CHECK(decision.evidence == evidence);
}

} // namespace

TEST_CASE("the names of a class") {
    CHECK(parse_storage_class("hdd") == storage_class::hdd);
    CHECK(parse_storage_class("sata_ssd") == storage_class::sata_ssd);
    CHECK(parse_storage_class("nvme") == storage_class::nvme);
    CHECK(parse_storage_class("HDD") == std::nullopt);
    CHECK(parse_storage_class("") == std::nullopt);
    CHECK(to_string(storage_class::sata_ssd) == std::string("sata_ssd"));
    CHECK(display_name(storage_class::hdd) == std::string("HDD"));
    CHECK(display_name(storage_class::sata_ssd) == std::string("SATA SSD"));
    CHECK(display_name(storage_class::nvme) == std::string("NVMe"));
}

TEST_CASE("queue/rotational decides the class of SATA disks") {
    sysfs_tree sysfs;
    SECTION("HDD") {
        add_sata_disk(sysfs, "sda", "8:0", 0, 1);
        check(classify_block_device("sda", sysfs.root()), storage_class::hdd, "sda/queue/rotational=1");
    }
    SECTION("SSD") {
        add_sata_disk(sysfs, "sda", "8:0", 0, 0);
        check(classify_block_device("8:0", sysfs.root()), storage_class::sata_ssd, "sda/queue/rotational=0");
    }
    SECTION("not stated") {
        add_sata_disk(sysfs, "sda", "8:0", 0, 0);
        fs::remove(fs::canonical(sysfs.root() / "block/sda") / "queue/rotational");
        check(classify_block_device("sda", sysfs.root()), storage_class::hdd,
              "sda/queue/rotational is missing (unknown, treated as HDD)");
    }
}

TEST_CASE("a partition has the class of its disk") {
    sysfs_tree sysfs;
    add_sata_disk(sysfs, "sda", "8:0", 0, 1);
    sysfs.add_partition("sda", "sda1", "8:1", 1);
    check(classify_block_device("sda1", sysfs.root()), storage_class::hdd, "sda/queue/rotational=1");
    check(classify_block_device("8:1", sysfs.root()), storage_class::hdd, "sda/queue/rotational=1");
}

TEST_CASE("NVMe is recognised by its place in sysfs, not by its name") {
    sysfs_tree sysfs;
    SECTION("an ordinary one and its partition") {
        add_nvme_disk(sysfs);
        sysfs.add_partition("nvme0n1", "nvme0n1p1", "259:4", 1);
        check(classify_block_device("nvme0n1", sysfs.root()), storage_class::nvme, "nvme0n1 is on nvme (nvme0)");
        check(classify_block_device("259:4", sysfs.root()), storage_class::nvme, "nvme0n1 is on nvme (nvme0)");
    }
    SECTION("another name in the place of an NVMe disk") {
        add_nvme_disk(sysfs, "fast0");
        CHECK(classify_block_device("fast0", sysfs.root()).cls == storage_class::nvme);
    }
    SECTION("the name of an NVMe disk in another place") {
        add_sata_disk(sysfs, "nvme0n1", "8:0", 0, 1);
        check(classify_block_device("nvme0n1", sysfs.root()), storage_class::hdd, "nvme0n1/queue/rotational=1");
    }
    // Source: the kernel's nvme driver sets rotational from the namespace's features since Linux 6.13.
    SECTION("one that rotates") {
        add_nvme_disk(sysfs, "nvme0n1", 1);
        check(classify_block_device("nvme0n1", sysfs.root()), storage_class::hdd, "nvme0n1/queue/rotational=1 on nvme");
    }
}

// Source: Linux 6.1 under QEMU, two `nvme` controllers on one `nvme-subsys` with a shared namespace; the paths are
// hidden disks without a number (drivers/nvme/host/multipath.c). The NVMe-over-fabrics path: nvme-fabrics/ctl is a
// device of the class nvme-fabrics (drivers/nvme/host/fabrics.c).
TEST_CASE("NVMe multipath: the disk and its paths") {
    sysfs_tree sysfs;
    fs::path const virtual_devices = "devices/virtual";
    sysfs.add_device(pci / "0000:00:03.0", "bus/pci");
    sysfs.add_device(pci / "0000:00:03.0/nvme/nvme0", "class/nvme");
    sysfs.add_disk(pci / "0000:00:03.0/nvme/nvme0/nvme0c0n1", std::nullopt, 0);
    sysfs.add_device(virtual_devices / "nvme-fabrics/ctl", "class/nvme-fabrics");
    sysfs.add_device(virtual_devices / "nvme-fabrics/ctl/nvme1", "class/nvme");
    sysfs.add_disk(virtual_devices / "nvme-fabrics/ctl/nvme1/nvme0c1n1", std::nullopt, 0);
    sysfs.add_device(virtual_devices / "nvme-subsystem/nvme-subsys0", "class/nvme-subsystem");
    sysfs.add_disk(virtual_devices / "nvme-subsystem/nvme-subsys0/nvme0n1", "259:3", 0);
    sysfs.add_partition("nvme0n1", "nvme0n1p2", "259:5", 2);

    check(classify_block_device("259:3", sysfs.root()), storage_class::nvme,
          "nvme0n1 is on nvme-subsystem (nvme-subsys0)");
    check(classify_block_device("nvme0n1p2", sysfs.root()), storage_class::nvme,
          "nvme0n1 is on nvme-subsystem (nvme-subsys0)");
    check(classify_block_device("nvme0c0n1", sysfs.root()), storage_class::nvme, "nvme0c0n1 is on nvme (nvme0)");
    check(classify_block_device("nvme0c1n1", sysfs.root()), storage_class::nvme, "nvme0c1n1 is on nvme (nvme1)");
}

TEST_CASE("dm-crypt on LVM on NVMe is NVMe") {
    sysfs_tree sysfs;
    add_nvme_disk(sysfs);
    sysfs.add_partition("nvme0n1", "nvme0n1p3", "259:4", 3);
    add_dm(sysfs, 0, 0);
    add_dm(sysfs, 1, 0);
    sysfs.add_holder("dm-0", "nvme0n1p3");
    sysfs.add_holder("dm-1", "dm-0");
    check(classify_block_device("dm-1", sysfs.root()), storage_class::nvme,
          "dm-1/slaves/dm-0, dm-0/slaves/nvme0n1p3, nvme0n1 is on nvme (nvme0)");
}

TEST_CASE("md of HDDs is an HDD, whatever md says of itself") {
    sysfs_tree sysfs;
    add_sata_disk(sysfs, "sda", "8:0", 0, 1);
    add_sata_disk(sysfs, "sdb", "8:16", 1, 1);
    sysfs.add_partition("sda", "sda2", "8:2", 2);
    sysfs.add_partition("sdb", "sdb2", "8:18", 2);
    add_md(sysfs, "raid1");
    sysfs.add_holder("md0", "sdb2");
    sysfs.add_holder("md0", "sda2");
    sysfs.add_partition("md0", "md0p1", "259:9", 1);
    check(classify_block_device("md0", sysfs.root()), storage_class::hdd, "md0/slaves/sda2, sda/queue/rotational=1");
    check(classify_block_device("md0p1", sysfs.root()), storage_class::hdd, "md0/slaves/sda2, sda/queue/rotational=1");
}

TEST_CASE("the slowest of several underlying classes decides") {
    sysfs_tree sysfs;
    add_nvme_disk(sysfs);
    add_sata_disk(sysfs, "sda", "8:0", 0, 0);
    add_sata_disk(sysfs, "sdb", "8:16", 1, 1);
    add_md(sysfs, "linear");
    sysfs.add_holder("md0", "nvme0n1");
    SECTION("NVMe and SATA SSD") {
        sysfs.add_holder("md0", "sda");
        check(classify_block_device("md0", sysfs.root()), storage_class::sata_ssd,
              "md0/slaves/sda, sda/queue/rotational=0");
    }
    SECTION("NVMe and, through dm, SATA SSD and HDD") {
        add_dm(sysfs, 0, 0);
        sysfs.add_holder("dm-0", "sda");
        sysfs.add_holder("dm-0", "sdb");
        sysfs.add_holder("md0", "dm-0");
        check(classify_block_device("md0", sysfs.root()), storage_class::hdd,
              "md0/slaves/dm-0, dm-0/slaves/sdb, sdb/queue/rotational=1");
    }
}

TEST_CASE("a cycle of stacked devices does not loop forever") {
    sysfs_tree sysfs;
    add_dm(sysfs, 0, 0);
    add_dm(sysfs, 1, 0);
    sysfs.add_holder("dm-0", "dm-1");
    sysfs.add_holder("dm-1", "dm-0");
    auto const decision = classify_block_device("dm-0", sysfs.root());
    CHECK(decision.cls == storage_class::hdd);
    CHECK(decision.evidence.find("is stacked on itself (unknown, treated as HDD)") != std::string::npos);
}

TEST_CASE("a dm device on nothing is unknown") {
    sysfs_tree sysfs;
    add_dm(sysfs, 0, 0);
    check(classify_block_device("dm-0", sysfs.root()), storage_class::hdd,
          "dm-0 has no disk beneath it (unknown, treated as HDD)");
}

TEST_CASE("eMMC is a SATA SSD, an SD card is not") {
    sysfs_tree sysfs;
    SECTION("eMMC, its partition and its boot area") {
        add_mmc_disk(sysfs, "MMC");
        sysfs.add_partition("mmcblk0", "mmcblk0p1", "179:1", 1);
        // A separate disk below the main one (drivers/mmc/core/block.c, mmc_blk_alloc_part).
        sysfs.add_disk(pci / "0000:00:08.0/mmc_host/mmc0/mmc0:0001/block/mmcblk0/mmcblk0boot0", "179:8", 0);
        check(classify_block_device("mmcblk0p1", sysfs.root()), storage_class::sata_ssd, "mmcblk0/queue/rotational=0");
        check(classify_block_device("mmcblk0boot0", sysfs.root()), storage_class::sata_ssd,
              "mmcblk0boot0/queue/rotational=0");
    }
    SECTION("SD card") {
        add_mmc_disk(sysfs, "SD");
        check(classify_block_device("mmcblk0", sysfs.root()), storage_class::hdd,
              "mmcblk0 is an SD card (treated as HDD)");
    }
}

TEST_CASE("USB: a stick reports rotational=1, a disk behind UAS may report 0") {
    sysfs_tree sysfs;
    SECTION("stick") {
        add_usb_disk(sysfs, "sdd", 1);
        check(classify_block_device("sdd", sysfs.root()), storage_class::hdd, "sdd/queue/rotational=1 on usb");
    }
    SECTION("SSD behind UAS") {
        add_usb_disk(sysfs, "sdd", 0);
        check(classify_block_device("sdd", sysfs.root()), storage_class::sata_ssd, "sdd/queue/rotational=0 on usb");
    }
}

TEST_CASE("virtual disks of unknown class are SATA SSDs") {
    sysfs_tree sysfs;
    // Source: Linux 6.1 under QEMU, `virtio-blk-pci`.
    SECTION("virtio") {
        auto const rotational = GENERATE(0, 1);
        sysfs.add_device(pci / "0000:00:06.0", "bus/pci");
        sysfs.add_device(pci / "0000:00:06.0/virtio0", "bus/virtio");
        sysfs.add_disk(pci / "0000:00:06.0/virtio0/block/vda", "254:0", rotational);
        check(classify_block_device("vda", sysfs.root()), storage_class::sata_ssd,
              "vda is on virtio (virtio0), which does not report its kind (treated as SATA SSD)");
    }
    // Source: drivers/xen/xenbus/xenbus_probe.c (xenbus_probe_node), drivers/block/xen-blkfront.c.
    SECTION("Xen") {
        sysfs.add_device("devices/vbd-51712", "bus/xen");
        sysfs.add_disk("devices/vbd-51712/block/xvda", "202:0", 0);
        CHECK(classify_block_device("xvda", sysfs.root()).cls == storage_class::sata_ssd);
    }
    // Source: Linux 6.1 under QEMU, `scsi-hd` on `virtio-scsi-pci`: the SCSI disk reports its rotation rate.
    SECTION("a SCSI disk on virtio reports its class") {
        auto const rotational = GENERATE(0, 1);
        auto const host = pci / "0000:00:09.0/virtio1/host6";
        sysfs.add_device(pci / "0000:00:09.0", "bus/pci");
        sysfs.add_device(pci / "0000:00:09.0/virtio1", "bus/virtio");
        sysfs.add_device(host, "bus/scsi");
        sysfs.add_device(host / "target6:0:0", "bus/scsi");
        sysfs.add_device(host / "target6:0:0/6:0:0:0", "bus/scsi");
        sysfs.add_disk(host / "target6:0:0/6:0:0:0/block/sdc", "8:32", rotational);
        CHECK(classify_block_device("sdc", sysfs.root()).cls ==
              (rotational == 1 ? storage_class::hdd : storage_class::sata_ssd));
    }
}

// Source: drivers/block/zram/zram_drv.c and drivers/block/nbd.c: disks without a parent device.
TEST_CASE("devices without a bus: only memory is known") {
    sysfs_tree sysfs;
    sysfs.add_disk("devices/virtual/block/zram0", "252:0", 0);
    sysfs.add_disk("devices/virtual/block/nbd0", "43:0", 0);
    check(classify_block_device("zram0", sysfs.root()), storage_class::nvme, "zram0 is in memory");
    check(classify_block_device("nbd0", sysfs.root()), storage_class::hdd,
          "nbd0 has no disk beneath it (unknown, treated as HDD)");
}

TEST_CASE("a name with a slash is spelled with an exclamation mark in sysfs") {
    // Source: drivers/base/core.c (device_add) by way of kobject_set_name_vargs, which replaces it.
    sysfs_tree sysfs;
    sysfs.add_device(pci / "0000:00:04.0", "bus/pci");
    sysfs.add_disk(pci / "0000:00:04.0/cciss0/c0d0/block/cciss!c0d0", "104:0", 1);
    check(classify_block_device("cciss/c0d0", sysfs.root()), storage_class::hdd, "cciss!c0d0/queue/rotational=1");
}

TEST_CASE("a block device that sysfs does not know") {
    sysfs_tree sysfs;
    check(classify_block_device("8:0", sysfs.root()), storage_class::hdd,
          "no block device 8:0 in " + sysfs.root().string() + " (unknown, treated as HDD)");
}

TEST_CASE("a loop device has the class of the disk beneath its file") {
    sysfs_tree sysfs;
    file_on_disk file;
    add_sata_disk(sysfs, "sda", "8:0", 0, 0);
    SECTION("a file on a disk, although loop says rotational=1") {
        add_loop(sysfs, file.path);
        sysfs.link_device("dev/block/" + file.device, "sda");
        check(classify_block_device("loop0", sysfs.root()), storage_class::sata_ssd,
              "loop0/loop/backing_file=" + file.path.string() + ", file system on sda, sda/queue/rotational=0");
    }
    SECTION("a partition of it") {
        add_loop(sysfs, file.path);
        sysfs.link_device("dev/block/" + file.device, "sda");
        sysfs.add_partition("loop0", "loop0p1", "259:0", 1);
        CHECK(classify_block_device("loop0p1", sysfs.root()).cls == storage_class::sata_ssd);
    }
    SECTION("a deleted file") {
        add_loop(sysfs, file.path.string() + " (deleted)");
        auto const decision = classify_block_device("loop0", sysfs.root());
        CHECK(decision.cls == storage_class::hdd);
        CHECK(decision.evidence.find("No such file or directory (unknown, treated as HDD)") != std::string::npos);
    }
    SECTION("no file") {
        add_loop(sysfs, std::nullopt);
        CHECK(classify_block_device("loop0", sysfs.root()).cls == storage_class::hdd);
    }
}

TEST_CASE("a file has the class of its file system's device") {
    sysfs_tree sysfs;
    file_on_disk file;
    add_nvme_disk(sysfs);
    sysfs.add_partition("nvme0n1", "nvme0n1p1", "259:4", 1);
    sysfs.link_device("dev/block/" + file.device, "nvme0n1p1");
    check(detect_storage_class(file.path, sysfs.root()), storage_class::nvme,
          "file system on nvme0n1p1, nvme0n1 is on nvme (nvme0)");
}

TEST_CASE("the mount decides for a file on a file system without a block device number") {
    sysfs_tree sysfs;
    file_on_disk file;
    if (file.mount.empty()) {
        WARN("skipped: this kernel does not tell a file's mount (Linux 5.8)");
        return;
    }
    add_sata_disk(sysfs, "sda", "8:0", 0, 0);
    add_sata_disk(sysfs, "sdb", "8:16", 1, 1);
    sysfs.add_partition("sda", "sda1", "8:1", 1);
    auto const detect = [&](auto const&... mount) {
        return detect_storage_class(file.path, sysfs.root(), file.mountinfo(mount...));
    };
    SECTION("btrfs on one device") {
        check(detect("btrfs", "/dev/sda1", "rw,subvolid=5"), storage_class::sata_ssd,
              "file system on sda1, sda/queue/rotational=0");
    }
    // Source: btrfs documentation, "SYSFS interface": /sys/fs/btrfs/<UUID>/devices/ holds links to the devices.
    SECTION("btrfs on several devices") {
        sysfs.link_device("fs/btrfs/3a0f4d8e-0000-4000-8000-000000000001/devices/sda1", "sda1");
        sysfs.link_device("fs/btrfs/3a0f4d8e-0000-4000-8000-000000000001/devices/sdb", "sdb");
        check(detect("btrfs", "/dev/sda1"), storage_class::hdd, "file system btrfs on sdb, sdb/queue/rotational=1");
    }
    SECTION("memory") {
        check(detect("tmpfs", "tmpfs"), storage_class::nvme, "file system tmpfs is in memory");
        check(detect("ramfs", "none"), storage_class::nvme, "file system ramfs is in memory");
    }
    SECTION("a network") {
        check(detect("nfs4", "server:/images"), storage_class::hdd,
              "file system nfs4 is not on a block device (unknown, treated as HDD)");
    }
    SECTION("overlay: the layer that is written") {
        // /proc stands for the layer: a folder on another file system than the file's, there on every machine.
        sysfs.link_device("dev/block/" + device_of_file_system("/proc"), "sda");
        check(detect("overlay", "overlay", "rw,lowerdir=/nowhere,upperdir=/proc,workdir=/w"), storage_class::sata_ssd,
              "overlay on /proc, file system on sda, sda/queue/rotational=0");
    }
    SECTION("blanks in the fields of a mount") {
        check(detect("overlay", "overlay", "rw,upperdir=/no\\040where"), storage_class::hdd,
              "overlay on /no where, /no where: No such file or directory (unknown, treated as HDD)");
    }
    SECTION("overlay without an upper layer: the first lower one") {
        auto const decision = detect("overlay", "overlay", "ro,lowerdir=/nowhere/a:/nowhere/b");
        check(decision, storage_class::hdd,
              "overlay on /nowhere/a, /nowhere/a: No such file or directory (unknown, treated as HDD)");
    }
    SECTION("an unlisted mount") {
        check(detect_storage_class(file.path, sysfs.root(), "/dev/null"), storage_class::hdd,
              file.path.string() + " is on no known mount (unknown, treated as HDD)");
    }
}

TEST_CASE("paths that are not on a disk") {
    sysfs_tree sysfs;
    check(detect_storage_class("/nowhere/disk", sysfs.root()), storage_class::hdd,
          "/nowhere/disk: No such file or directory (unknown, treated as HDD)");
    check(detect_storage_class("/dev/null", sysfs.root()), storage_class::hdd,
          "/dev/null is neither a block device nor a file (unknown, treated as HDD)");
}

TEST_CASE("every block device of this machine has a class") {
    std::error_code error;
    for (fs::directory_iterator entry("/sys/class/block", error), end; !error && entry != end; entry.increment(error)) {
        CHECK_FALSE(classify_block_device(entry->path().filename().string()).evidence.empty());
    }
}
