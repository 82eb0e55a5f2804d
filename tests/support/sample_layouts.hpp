#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/layout/disk_layout.hpp"

namespace seedbed::test {

inline constexpr std::int64_t mib = 1 << 20;

/// A GUID whose last digits are \p number.
inline std::string guid(int number) {
    auto const digits = std::to_string(number);
    return "0FC63DAF-8483-4772-8E79-" + std::string(12 - digits.size(), '0') + digits;
}

/// A partition of a GPT, full of \p type.
inline partition_entry gpt_partition(int number, std::int64_t start, std::int64_t size, std::string const& type = {}) {
    partition_entry partition;
    partition.number = number;
    partition.start = start;
    partition.size = size;
    partition.type = guid(100);
    partition.uuid = guid(number);
    partition.content.type = type;
    partition.content.minimal_size = size;
    partition.content.used = size;
    if (type == "swap") {
        partition.content.swap_page = 4096;
    }
    return partition;
}

inline partition_entry mbr_partition(int number, std::int64_t start, std::int64_t size, std::string const& type = {}) {
    auto partition = gpt_partition(number, start, size, type);
    partition.type = "83";
    partition.uuid.clear();
    partition.role = number > 4 ? partition_role::logical : partition_role::primary;
    return partition;
}

inline partition_entry extended_partition(int number, std::int64_t start, std::int64_t size) {
    auto partition = mbr_partition(number, start, size);
    partition.type = "05";
    partition.role = partition_role::extended;
    partition.content = {};
    return partition;
}

/// The layout of an installed Windows beside a Linux: EFI, MSR, NTFS, ext4, swap and a recovery partition after them.
inline disk_layout sample_gpt() {
    disk_layout layout;
    layout.id = guid(0);
    layout.disk_size = 1024 * mib;
    layout.entries = 128;
    layout.first_usable = 34 * 512;
    layout.gap_start = 34 * 512;
    layout.gap_size = mib - 34 * 512;
    layout.partitions = {
        gpt_partition(1, mib, 100 * mib, "vfat"),       gpt_partition(2, 101 * mib, 16 * mib),
        gpt_partition(3, 117 * mib, 400 * mib, "ntfs"), gpt_partition(4, 517 * mib, 200 * mib, "ext4"),
        gpt_partition(5, 717 * mib, 50 * mib, "swap"),  gpt_partition(6, 767 * mib, 100 * mib, "ntfs")};
    layout.partitions[0].name = "EFI system partition";
    layout.partitions[2].content.label = "Windows";
    layout.partitions[2].content.uuid = "1234567890ABCDEF";
    layout.partitions[2].content.used = 100 * mib;
    layout.partitions[5].attributes = 0x8000000000000001;
    return layout;
}

/// A primary and an extended partition with two logical ones, and a primary one after them.
inline disk_layout sample_mbr() {
    disk_layout layout;
    layout.table = table_type::mbr;
    layout.id = "deadbeef";
    layout.disk_size = 1024 * mib;
    layout.boot_code = std::string(boot_code_size, '\x33');
    layout.gap_start = 512;
    layout.gap_size = mib - 512;
    layout.partitions = {mbr_partition(1, mib, 300 * mib, "ext4"), extended_partition(2, 301 * mib, 401 * mib),
                         mbr_partition(3, 702 * mib, 100 * mib, "ntfs"), mbr_partition(5, 302 * mib, 199 * mib, "ext4"),
                         mbr_partition(6, 502 * mib, 200 * mib, "swap")};
    layout.partitions[0].bootable = true;
    layout.partitions[2].type = "07";
    layout.partitions[4].type = "82";
    return layout;
}

} // namespace seedbed::test
