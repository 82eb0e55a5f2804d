#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/growth.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

enum class table_type : std::uint8_t { gpt, mbr };

/// Place of a partition in an MBR table. A partition of a GPT is always primary.
enum class partition_role : std::uint8_t { primary, extended, logical };

/// What a partition holds, as libblkid recognises it.
struct partition_content {
    std::string type = {};  ///< as blkid(8) names it ("ext4", "swap"); empty if not recognised
    std::string label = {}; ///< bytes of any encoding: print it with printable()
    std::string uuid = {};  ///< as blkid(8) writes it
    /// Bytes from the start of the partition to the end of the content; a smaller partition cannot hold it.
    std::int64_t minimal_size = 0;
    std::int64_t used = 0;      ///< bytes in use, at most minimal_size
    std::int32_t swap_page = 0; ///< a swap area's page size in bytes; 0 for other content

    friend bool operator==(partition_content const&, partition_content const&) = default;
};

/// One entry of a partition table. Positions and sizes are in bytes, and multiples of the sector size.
struct partition_entry {
    int number = 0; ///< as the kernel counts: from 1; logical partitions from 5
    std::int64_t start = 0;
    std::int64_t size = 0;
    std::string type = {};        ///< GPT: a GUID in upper case; MBR: two lowercase hex digits
    std::string uuid = {};        ///< GPT: a GUID in upper case; MBR: empty
    std::string name = {};        ///< GPT: UTF-8, at most 36 UTF-16 units; MBR: empty
    std::uint64_t attributes = 0; ///< GPT: the entry's attribute bits
    bool bootable = false;        ///< MBR: the active flag
    partition_role role = partition_role::primary;
    partition_content content = {};

    [[nodiscard]] std::int64_t end() const noexcept { return start + size; }
    friend bool operator==(partition_entry const&, partition_entry const&) = default;
};

/// A partition table and what its partitions hold: all of a disk except the content of its partitions.
///
/// A value that check_layout() accepts is called valid; readers make only such values.
struct disk_layout {
    table_type table = table_type::gpt;
    std::string id = {}; ///< GPT: the disk's GUID in upper case; MBR: the signature in eight lowercase hex digits
    std::int32_t sector_size = 512; ///< logical, bytes
    std::int64_t disk_size = 0;     ///< bytes
    std::int32_t entries = 0;       ///< GPT: number of entries that the table has room for; MBR: 0
    std::int64_t first_usable = 0;  ///< GPT: first byte that a partition may use; MBR: 0
    /// The first boot_code_size bytes of the disk; empty if all are zero.
    std::string boot_code = {};
    /// Bytes between the table and the first partition, where a boot loader may keep code: their start and number (0:
    /// none).
    std::int64_t gap_start = 0;
    std::int64_t gap_size = 0;
    std::vector<partition_entry> partitions = {}; ///< in the order of their numbers

    friend bool operator==(disk_layout const&, disk_layout const&) = default;
};

/// Bytes of code at the start of an MBR; the disk's signature follows.
inline constexpr std::size_t boot_code_size = 440;
/// The largest gap between the table and the first partition that is taken for a boot loader's.
inline constexpr std::int64_t longest_gap = 1 << 20;
/// Bytes of a serialized layout: a GPT of most_table_entries with the longest names fits.
inline constexpr std::size_t longest_layout = 2 << 20;

/// Whether \p type is one of the three MBR types of an extended partition.
[[nodiscard]] bool is_extended_type(std::string_view type) noexcept;
/// A BIOS boot partition of a GPT, which holds a boot loader's code and no file system.
[[nodiscard]] bool is_bios_boot(partition_entry const& partition) noexcept;

/// Whether \p bytes is a size that disks' logical sectors have: 512, 1024, 2048 or 4096.
[[nodiscard]] bool is_disk_sector(std::int64_t bytes) noexcept;

/// Bytes that a GPT with \p entries takes at the end of a disk: the entries and the backup header, in whole sectors.
[[nodiscard]] std::int64_t backup_table_size(std::int32_t entries, std::int32_t sector_size) noexcept;
/// The end of the range that partitions may use on a disk of \p disk_size bytes.
[[nodiscard]] std::int64_t usable_end(disk_layout const& layout, std::int64_t disk_size) noexcept;

/// The partition with \p number; nullptr if the table has none.
[[nodiscard]] partition_entry const* find_partition(disk_layout const& layout, int number) noexcept;
/// The partition as messages name it: "partition 3 (ntfs)"; printable.
[[nodiscard]] std::string describe(partition_entry const& partition);

/// Checks every field and limit, that partitions lie in the usable range, that primary partitions do not overlap, and
/// that logical ones lie in the extended one with a sector before each. The error names the partition and the field.
[[nodiscard]] result<void> check_layout(disk_layout const& layout);

/// The layout as a bencoded dictionary (BEP 3), for a .torrent's info dictionary. Equal layouts give equal bytes.
/// \param layout valid.
[[nodiscard]] std::string to_bencode(disk_layout const& layout);

/// The inverse. Refuses whatever to_bencode() does not write: unknown and missing keys, another version, another order
/// or form of values, and layouts that are not valid. The error starts with "disk layout: ".
[[nodiscard]] result<disk_layout> parse_disk_layout(std::string_view bencoded);

} // namespace seedbed
