#include "daemon/terminal/overview_text.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("overview: a partition") {
    device_overview device;
    device.path = "/dev/sda1";
    device.block_device = true;
    device.size = 20LL << 30;
    device.disk = "sda";
    device.model = "Samsung SSD 970";
    device.serial = "S466";
    device.by_id = "/dev/disk/by-id/ata-S466-part1";
    device.content.type = "ext4";
    device.content.label = "root\x1b[2J"; // a label must not drive the terminal
    device.mount_point = "/mnt";
    CHECK(overview_text(device, storage_class::sata_ssd) == "/dev/sda1: 20 GiB, partition of sda\n"
                                                            "  disk      Samsung SSD 970, serial S466, SATA SSD\n"
                                                            "  known as  /dev/disk/by-id/ata-S466-part1\n"
                                                            "  holds     ext4 \"root?[2J\"\n"
                                                            "  mounted   on /mnt\n");
}

TEST_CASE("overview: a disk with partitions") {
    device_overview device;
    device.path = "/dev/loop0";
    device.block_device = true;
    device.size = 1LL << 30;
    device.backing_file = "/srv/disk.img";
    device.content.partition_table = "gpt";
    device.partitions.resize(2);
    device.partitions[0].path = "/dev/loop0p1";
    device.partitions[0].size = 512LL << 20;
    device.partitions[0].content.type = "vfat";
    device.partitions[0].content.label = "EFI";
    device.partitions[0].mount_point = "/boot/efi";
    device.partitions[1].path = "/dev/loop0p2";
    device.partitions[1].size = 256LL << 20;
    CHECK(overview_text(device, storage_class::hdd) ==
          "/dev/loop0: 1 GiB, a whole disk\n"
          "  disk      loop device of /srv/disk.img, HDD\n"
          "  holds     gpt partition table\n"
          "            /dev/loop0p1  512 MiB  vfat \"EFI\", mounted on /boot/efi\n"
          "            /dev/loop0p2  256 MiB\n"
          "  mounted   no\n");
}

TEST_CASE("overview: an empty file") {
    device_overview device;
    device.path = "/tmp/image";
    device.size = 4096;
    CHECK(overview_text(device, storage_class::nvme) == "/tmp/image: 4 KiB, a file\n"
                                                        "  disk      NVMe\n"
                                                        "  holds     nothing recognised\n"
                                                        "  mounted   no\n");
}

TEST_CASE("overview: content that cannot be read is not reported as none") {
    device_overview device;
    device.path = "/dev/sda";
    device.block_device = true;
    device.size = 1LL << 30;
    device.content_problem = "Input/output error (EIO)";
    device.partitions.resize(1);
    device.partitions[0].path = "/dev/sda1";
    device.partitions[0].size = 512LL << 20;
    device.partitions[0].content_problem = "Input/output error (EIO)";
    CHECK(overview_text(device, storage_class::hdd) ==
          "/dev/sda: 1 GiB, a whole disk\n"
          "  disk      HDD\n"
          "  holds     unknown: it cannot be read (Input/output error (EIO))\n"
          "            /dev/sda1  512 MiB  unknown: it cannot be read (Input/output error (EIO))\n"
          "  mounted   no\n");
}

TEST_CASE("overview: everything that is recognised") {
    device_overview device;
    device.path = "/dev/sda1";
    device.content.signatures = {{.type = "ntfs", .label = "Windows"}, {.type = "btrfs"}, {.type = "ntfs"}};
    device.content.ambiguous = true;
    auto const holds = [&] {
        auto const text = overview_text(device, storage_class::hdd);
        auto const begin = text.find("holds     ") + 10;
        return text.substr(begin, text.find('\n', begin) - begin);
    };
    CHECK(holds() == "several signatures: ntfs \"Windows\", btrfs");
    device.content.ambiguous = false;
    device.content.type = "btrfs";
    device.content.label = "data";
    CHECK(holds() == "btrfs \"data\", also ntfs \"Windows\"");
    device.content.signatures = {{.type = "btrfs", .label = "data"}, {.type = "gpt", .partition_table = true}};
    CHECK(holds() == "btrfs \"data\", also gpt partition table");
    device.content.partition_table = "gpt";
    CHECK(holds() == "btrfs \"data\", gpt partition table");
}
