#include "core/image/image_origin.hpp"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstddef>
#include <limits>
#include <sstream>
#include <system_error>
#include <utility>

namespace seedbed {

namespace {

constexpr std::string_view mark = "seedbed ";
constexpr std::int64_t largest_sector = 65'536;

std::int64_t little_endian(std::string_view head, std::size_t offset, std::size_t size) {
    std::int64_t value = 0;
    for (std::size_t i = size; i > 0 && offset + size <= head.size(); --i) {
        value = value << 8 | static_cast<unsigned char>(head[offset + i - 1]);
    }
    return value;
}

/// \p base times a power of two; 0 if the exponent is implausible for a sector size.
std::int64_t shifted(std::int64_t base, std::int64_t exponent) {
    return exponent >= 0 && exponent <= 8 ? base << exponent : 0;
}

std::int64_t sector_of_partition_table(std::string_view head, std::int64_t device_sector) {
    for (std::size_t const sector : {512U, 4096U}) {
        if (head.size() >= sector + 8 && head.substr(sector, 8) == "EFI PART") {
            return static_cast<std::int64_t>(sector);
        }
    }
    return device_sector; // the table does not say: its unit is the disk's own sector
}

bool is_ext(std::string_view type) {
    return type == "ext2" || type == "ext3" || type == "ext4";
}

/// The smallest sector size with which the file system works.
std::int64_t sector_of_file_system(std::string_view type, std::string_view head) {
    if (type == "ntfs" || type == "vfat") {
        return little_endian(head, 0x0b, 2);
    }
    if (type == "exfat") {
        return shifted(512, little_endian(head, 0x6c, 1) - 9);
    }
    if (type == "xfs" && head.size() > 104) {
        return little_endian(head, 102, 1) << 8 | little_endian(head, 103, 1);
    }
    if (is_ext(type)) {
        return head.size() > 2048 ? shifted(1024, little_endian(head, 1024 + 0x18, 4)) : 0;
    }
    return type == "btrfs" ? little_endian(head, 0x10000 + 0x90, 4) : 0;
}

/// A number of units of 1 << \p shift bytes in bytes; 0 if it is implausible.
std::int64_t bytes_of(std::int64_t units, std::int64_t shift) {
    return units > 0 && shift >= 0 && shift <= 16 && units <= std::numeric_limits<std::int64_t>::max() >> shift
               ? units << shift
               : 0;
}

/// A number of sectors of \p sector bytes, a power of two, in bytes; 0 if it is implausible.
std::int64_t bytes_of_sectors(std::int64_t sectors, std::int64_t sector) {
    return sector > 0 && std::has_single_bit(static_cast<std::uint64_t>(sector))
               ? bytes_of(sectors, std::countr_zero(static_cast<std::uint64_t>(sector)))
               : 0;
}

std::int64_t size_of_ext(std::string_view head) {
    constexpr std::int64_t has_64_bits = 0x80; // of s_feature_incompat
    auto const superblock = head.substr(std::min<std::size_t>(head.size(), 1024));
    auto const high = (little_endian(superblock, 0x60, 4) & has_64_bits) != 0 ? little_endian(superblock, 0x150, 4) : 0;
    return bytes_of(high << 32 | little_endian(superblock, 4, 4), little_endian(superblock, 0x18, 4) + 10);
}

std::int64_t size_of_vfat(std::string_view head) {
    auto const small = little_endian(head, 0x13, 2);
    return bytes_of_sectors(small != 0 ? small : little_endian(head, 0x20, 4), little_endian(head, 0x0b, 2));
}

/// struct xfs_dsb, big-endian.
std::int64_t size_of_xfs(std::string_view head) {
    std::int64_t block = 0;
    std::int64_t blocks = 0;
    for (std::size_t i = 0; i < 4 && head.size() > 16; ++i) {
        block = block << 8 | static_cast<unsigned char>(head[4 + i]);
    }
    for (std::size_t i = 0; i < 8 && head.size() > 16; ++i) {
        blocks = static_cast<std::int64_t>(static_cast<std::uint64_t>(blocks) << 8U |
                                           static_cast<unsigned char>(head[8 + i]));
    }
    return bytes_of_sectors(blocks, block);
}

bool all_digits(std::string_view text) {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

/// The name without trailing digits, and whether it had any.
std::pair<std::string_view, bool> without_number(std::string_view name) {
    auto const end = name.find_last_not_of("0123456789");
    auto const length = end == std::string_view::npos ? 0 : end + 1;
    return {name.substr(0, length), length < name.size()};
}

/// Whether this is a disk whose name ends in a number, such as nvme0n1 and mmcblk0: its partitions append "p" and a
/// number.
bool is_numbered_disk(std::string_view name) {
    if (name.starts_with("mmcblk")) {
        return all_digits(name.substr(6));
    }
    auto const n = name.rfind('n');
    return name.starts_with("nvme") && n > 3 && all_digits(name.substr(4, n - 4)) && all_digits(name.substr(n + 1));
}

/// Decides by the kernel's names of disks and partitions.
image_kind kind_of_name(std::string_view name) {
    name = name.substr(name.rfind('/') + 1);
    if (is_numbered_disk(name)) {
        return image_kind::disk;
    }
    auto const [stem, numbered] = without_number(name);
    if (numbered && stem.ends_with('p') && is_numbered_disk(stem.substr(0, stem.size() - 1))) {
        return image_kind::partition;
    }
    // Words and formats that are more likely names of images than of disks.
    for (std::string_view const word : {"hdd", "vdi", "sdk"}) {
        if (stem == word) {
            return image_kind::unknown;
        }
    }
    for (std::string_view const prefix : {"sd", "hd", "vd", "xvd"}) {
        auto const letters = stem.starts_with(prefix) ? stem.substr(prefix.size()) : "";
        if (!letters.empty() && letters.size() <= 2 &&
            std::ranges::all_of(letters, [](char c) { return c >= 'a' && c <= 'z'; })) {
            return numbered ? image_kind::partition : image_kind::disk;
        }
    }
    return image_kind::unknown;
}

bool is_type_name(std::string_view text) {
    return text.size() <= 32 && std::ranges::all_of(text, [](char c) {
               return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                      c == '-' || c == '+';
           });
}

/// 0 if it is none, or too large.
std::int64_t number_in(std::string_view text) {
    std::int64_t number = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    return all_digits(text) && ec == std::errc{} ? number : 0;
}

bool is_sector_size(std::int64_t size) {
    return size >= 512 && size <= largest_sector && (size & (size - 1)) == 0;
}

} // namespace

std::int64_t size_of_file_system(std::string_view type, std::string_view head) {
    if (type == "ntfs") {
        return bytes_of_sectors(little_endian(head, 0x28, 8), little_endian(head, 0x0b, 2));
    }
    if (type == "vfat") {
        return size_of_vfat(head);
    }
    if (type == "exfat") {
        return bytes_of(little_endian(head, 0x48, 8), little_endian(head, 0x6c, 1));
    }
    if (type == "xfs") {
        return size_of_xfs(head);
    }
    if (type == "btrfs") { // total_bytes, of all its devices
        return little_endian(head, 0x10000 + 0x88, 8) == 1 ? bytes_of(little_endian(head, 0x10000 + 0x70, 8), 0) : 0;
    }
    if (type == "f2fs") { // struct f2fs_super_block at 1 KiB
        return bytes_of(little_endian(head, 1024 + 0x24, 8), little_endian(head, 1024 + 0x10, 4));
    }
    return is_ext(type) ? size_of_ext(head) : 0;
}

image_traits traits_of(disk_content const& content, std::string_view head, std::int64_t sector_size) {
    image_traits traits;
    if (!content.type.empty()) {
        // A file system with a partition table of its own, such as a hybrid ISO 9660 image, may belong on a disk or in
        // a partition.
        traits.kind = content.partition_table.empty() ? image_kind::partition : image_kind::unknown;
        traits.content = content.type;
        traits.sector_size = sector_of_file_system(content.type, head);
    } else if (!content.partition_table.empty()) {
        // A partition may hold a whole disk, such as that of a virtual machine.
        traits.kind = content.partition_uuid.empty() ? image_kind::disk : image_kind::partition;
        traits.content = content.partition_table;
        traits.sector_size = sector_of_partition_table(head, sector_size);
    }
    if (!is_sector_size(traits.sector_size)) {
        traits.sector_size = 0;
    }
    traits.size = content.type.empty() ? 0 : size_of_file_system(content.type, head);
    return traits;
}

std::string to_comment(image_traits const& traits) {
    auto text = std::string(mark) + "kind=" + to_string(traits.kind);
    if (!traits.content.empty()) {
        text += " content=" + traits.content;
    }
    if (traits.sector_size != 0) {
        text += " sector=" + std::to_string(traits.sector_size);
    }
    if (traits.size != 0) {
        text += " size=" + std::to_string(traits.size);
    }
    return text;
}

image_traits read_traits(std::string_view comment, std::string_view name) {
    image_traits traits;
    if (!comment.starts_with(mark)) {
        traits.kind = kind_of_name(name);
        return traits;
    }
    std::istringstream words{std::string(comment.substr(mark.size(), 200))};
    for (std::string word; words >> word;) {
        auto const equals = std::min(word.find('='), word.size() - 1);
        auto const key = word.substr(0, equals);
        auto const value = word.substr(equals + 1);
        if (key == "kind") {
            for (auto const kind : {image_kind::disk, image_kind::partition}) {
                traits.kind = value == to_string(kind) ? kind : traits.kind;
            }
        } else if (key == "content" && is_type_name(value)) {
            traits.content = value;
        } else if (key == "sector") {
            auto const size = number_in(value);
            traits.sector_size = is_sector_size(size) ? size : 0;
        } else if (key == "size") {
            traits.size = number_in(value);
        }
    }
    return traits;
}

} // namespace seedbed
