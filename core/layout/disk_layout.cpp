#include "core/layout/disk_layout.hpp"

#include <algorithm>
#include <limits>
#include <set>

#include "core/foundation/hex_number.hpp"
#include "core/foundation/printable.hpp"

namespace seedbed {

namespace {

constexpr std::size_t guid_length = 36;
constexpr std::int64_t gpt_entry_size = 128;
constexpr std::int64_t mbr_sectors = std::int64_t{1} << 32;
constexpr std::int64_t largest_disk = std::int64_t{1} << 62;
constexpr std::int32_t largest_swap_page = 1 << 20;
constexpr std::size_t longest_type = 64;
constexpr std::size_t longest_uuid = 64;
constexpr std::size_t longest_label = 256; ///< btrfs has the longest: 255 bytes
constexpr int longest_name = 36;           ///< UTF-16 units in an entry of a GPT

bool is_upper_guid(std::string_view text) {
    if (text.size() != guid_length) {
        return false;
    }
    for (std::size_t i = 0; i < text.size(); ++i) {
        bool const dash = i == 8 || i == 13 || i == 18 || i == 23;
        bool const digit = (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'A' && text[i] <= 'F');
        if (dash ? text[i] != '-' : !digit) {
            return false;
        }
    }
    return true;
}

bool is_lower_hex(std::string_view text, std::size_t digits) {
    return text.size() == digits && is_hex(text) &&
           std::ranges::none_of(text, [](char c) { return c >= 'A' && c <= 'F'; });
}

bool is_ascii(std::string_view text) {
    return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
}

/// The length of \p text in UTF-16 units, or -1 if it is not UTF-8 or holds a NUL.
int utf16_length(std::string_view text) {
    int units = 0;
    while (!text.empty()) {
        auto const first = static_cast<unsigned char>(text[0]);
        std::size_t const bytes = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
        if (first == 0 || bytes == 0 || first > 0xf4 || bytes > text.size()) {
            return -1;
        }
        std::uint32_t code = bytes == 1 ? first : first & (0x7fU >> bytes);
        for (std::size_t i = 1; i < bytes; ++i) {
            auto const next = static_cast<unsigned char>(text[i]);
            if ((next & 0xc0) != 0x80) {
                return -1;
            }
            code = code << 6 | (next & 0x3fU);
        }
        if ((bytes == 3 && code < 0x800) || (bytes == 4 && code < 0x10000) || code > 0x10ffff ||
            (code >= 0xd800 && code < 0xe000)) {
            return -1;
        }
        units += bytes == 4 ? 2 : 1;
        text.remove_prefix(bytes);
    }
    return units;
}

/// Checks one layout; each member returns the first reason to refuse it.
class checker {
public:
    explicit checker(disk_layout const& layout)
        : m_layout(layout) {}

    [[nodiscard]] result<void> run() const {
        if (auto disk = check_disk(); !disk) {
            return disk;
        }
        int last = 0;
        for (auto const& partition : m_layout.partitions) {
            auto checked = partition.number > last ? check_partition(partition)
                                                   : refuse(partition, "is not in the order of numbers");
            if (!checked) {
                return checked;
            }
            last = partition.number;
        }
        for (auto const& check : {&checker::check_order, &checker::check_logical_numbers, &checker::check_gap}) {
            if (auto checked = (this->*check)(); !checked) {
                return checked;
            }
        }
        return {};
    }

private:
    [[nodiscard]] bool gpt() const { return m_layout.table == table_type::gpt; }
    [[nodiscard]] bool whole_sectors(std::int64_t bytes) const { return bytes % m_layout.sector_size == 0; }

    static result<void> refuse(std::string const& reason) { return tl::unexpected(error{reason}); }
    static result<void> refuse(partition_entry const& partition, std::string const& reason) {
        return refuse("partition " + std::to_string(partition.number) + " " + reason);
    }

    [[nodiscard]] result<void> check_disk() const {
        auto const& disk = m_layout;
        if (!is_disk_sector(disk.sector_size)) {
            return refuse("sector size " + std::to_string(disk.sector_size) + " is not 512, 1024, 2048 or 4096");
        }
        if (disk.disk_size <= 0 || disk.disk_size > largest_disk || !whole_sectors(disk.disk_size)) {
            return refuse("disk size " + std::to_string(disk.disk_size) + " is not a number of whole sectors");
        }
        if (!disk.boot_code.empty() &&
            (disk.boot_code.size() != boot_code_size || disk.boot_code.find_first_not_of('\0') == std::string::npos)) {
            return refuse("the boot code is not 440 bytes, or all zero");
        }
        if (!gpt()) {
            return disk.entries != 0 || disk.first_usable != 0 ? refuse("an MBR with fields of a GPT")
                   : !is_lower_hex(disk.id, 8)                 ? refuse("the disk's signature is not 8 hex digits")
                                                               : result<void>();
        }
        if (!is_upper_guid(disk.id)) {
            return refuse("the disk's id is not a GUID");
        }
        if (disk.entries < 1 || disk.entries > most_table_entries) {
            return refuse("a GPT of " + std::to_string(disk.entries) + " entries");
        }
        if (disk.first_usable < disk.sector_size + backup_table_size(disk.entries, disk.sector_size) ||
            disk.first_usable >= usable_end(disk, disk.disk_size) || !whole_sectors(disk.first_usable)) {
            return refuse("first usable byte " + std::to_string(disk.first_usable) + " is inside the GPT or beyond");
        }
        return {};
    }

    [[nodiscard]] result<void> check_partition(partition_entry const& partition) const {
        if (partition.start < 0 || partition.size <= 0 || partition.start > largest_disk ||
            partition.size > largest_disk || !whole_sectors(partition.start) || !whole_sectors(partition.size)) {
            return refuse(partition, "does not consist of whole sectors");
        }
        if (partition.start < (gpt() ? m_layout.first_usable : m_layout.sector_size) ||
            partition.end() > usable_end(m_layout, m_layout.disk_size)) {
            return refuse(partition, "lies outside the disk's usable range");
        }
        if (auto fields = gpt() ? check_gpt_fields(partition) : check_mbr_fields(partition); !fields) {
            return fields;
        }
        return check_content(partition);
    }

    [[nodiscard]] result<void> check_gpt_fields(partition_entry const& partition) const {
        if (partition.number > m_layout.entries) {
            return refuse(partition, "has a number beyond the table's entries");
        }
        if (!is_upper_guid(partition.type) || !is_upper_guid(partition.uuid)) {
            return refuse(partition, "has a type or id that is not a GUID");
        }
        if (auto const units = utf16_length(partition.name); units < 0 || units > longest_name) {
            return refuse(partition, "has a name that is not UTF-8 of at most 36 characters");
        }
        if (partition.bootable || partition.role != partition_role::primary) {
            return refuse(partition, "of a GPT has a field of an MBR");
        }
        return {};
    }

    [[nodiscard]] result<void> check_mbr_fields(partition_entry const& partition) const {
        if (partition.start / m_layout.sector_size >= mbr_sectors ||
            partition.size / m_layout.sector_size >= mbr_sectors) {
            return refuse(partition, "is beyond what an MBR can hold");
        }
        if (!is_lower_hex(partition.type, 2) || partition.type == "00" || partition.type == "ee") {
            return refuse(partition, "has a type that is no MBR partition's");
        }
        if ((partition.role == partition_role::extended) != is_extended_type(partition.type)) {
            return refuse(partition, "has a type that contradicts its role");
        }
        if ((partition.role == partition_role::logical) != (partition.number > 4)) {
            return refuse(partition, "has a number that contradicts its role");
        }
        if (!partition.uuid.empty() || !partition.name.empty() || partition.attributes != 0) {
            return refuse(partition, "of an MBR has a field of a GPT");
        }
        if (partition.role == partition_role::extended && partition.content != partition_content{}) {
            return refuse(partition, "is extended and has content");
        }
        return {};
    }

    static result<void> check_content(partition_entry const& partition) {
        auto const& content = partition.content;
        if (content.type.size() > longest_type || !is_ascii(content.type) || content.uuid.size() > longest_uuid ||
            !is_ascii(content.uuid) || content.label.size() > longest_label ||
            content.label.find('\0') != std::string::npos) {
            return refuse(partition, "has content whose type, id or label is too long or not text");
        }
        if (content.used < 0 || content.used > content.minimal_size || content.minimal_size > partition.size) {
            return refuse(partition, "has content larger than itself");
        }
        auto const page = content.swap_page;
        if (content.type == "swap" ? page < 4096 || page > largest_swap_page || (page & (page - 1)) != 0 : page != 0) {
            return refuse(partition, "has a swap page size of " + std::to_string(page));
        }
        return {};
    }

    /// Of partitions sorted by position: no overlap.
    [[nodiscard]] result<void> check_order() const {
        std::vector<partition_entry const*> outer;
        std::vector<partition_entry const*> logical;
        partition_entry const* extended = nullptr;
        for (auto const& partition : m_layout.partitions) {
            (partition.role == partition_role::logical ? logical : outer).push_back(&partition);
            if (partition.role == partition_role::extended) {
                if (extended != nullptr) {
                    return refuse(partition, "is a second extended partition");
                }
                extended = &partition;
            }
        }
        if (auto apart = check_apart(std::move(outer), 0, 0); !apart) {
            return apart;
        }
        if (logical.empty()) {
            return {};
        }
        for (auto const* partition : logical) {
            if (extended == nullptr || partition->start < extended->start || partition->end() > extended->end()) {
                return refuse(*partition, "lies outside the extended partition");
            }
        }
        return check_apart(std::move(logical), extended->start, m_layout.sector_size);
    }

    /// \param between bytes that must be free before each partition. \param begin where the first may start.
    static result<void> check_apart(std::vector<partition_entry const*> partitions, std::int64_t begin,
                                    std::int64_t between) {
        std::ranges::sort(partitions, {}, &partition_entry::start);
        for (auto const* partition : partitions) {
            if (partition->start < begin + between) {
                return refuse(*partition, between == 0 ? "overlaps another"
                                                       : "overlaps another or leaves no room for its table entry");
            }
            begin = partition->end();
        }
        return {};
    }

    /// The kernel numbers logical partitions without a gap.
    [[nodiscard]] result<void> check_logical_numbers() const {
        int next = 5;
        std::set<std::string_view> uuids;
        for (auto const& partition : m_layout.partitions) {
            if (partition.role == partition_role::logical && partition.number != next++) {
                return refuse(partition, "is logical, and not numbered consecutively from 5");
            }
            if (!partition.uuid.empty() && !uuids.insert(partition.uuid).second) {
                return refuse(partition, "has the id of another");
            }
        }
        return {};
    }

    [[nodiscard]] result<void> check_gap() const {
        if (m_layout.gap_size == 0) {
            return m_layout.gap_start == 0 ? result<void>() : refuse("an empty gap with a start");
        }
        auto const begin = gpt() ? m_layout.sector_size + backup_table_size(m_layout.entries, m_layout.sector_size)
                                 : std::int64_t{m_layout.sector_size};
        if (m_layout.gap_size < 0 || m_layout.gap_size > longest_gap || !whole_sectors(m_layout.gap_size) ||
            !whole_sectors(m_layout.gap_start) || m_layout.gap_start < begin ||
            m_layout.gap_start > m_layout.disk_size) {
            return refuse("the gap for a boot loader is misplaced");
        }
        auto const end = m_layout.gap_start + m_layout.gap_size;
        auto const before = [&](partition_entry const& partition) { return end <= partition.start; };
        if (end > usable_end(m_layout, m_layout.disk_size) || !std::ranges::all_of(m_layout.partitions, before)) {
            return refuse("the gap for a boot loader does not end before the first partition");
        }
        return {};
    }

    disk_layout const& m_layout;
};

} // namespace

bool is_extended_type(std::string_view type) noexcept {
    return type == "05" || type == "0f" || type == "85";
}

bool is_bios_boot(partition_entry const& partition) noexcept {
    return partition.type == "21686148-6449-6E6F-744E-656564454649";
}

bool is_disk_sector(std::int64_t bytes) noexcept {
    return bytes >= 512 && bytes <= 4096 && (bytes & (bytes - 1)) == 0;
}

std::int64_t backup_table_size(std::int32_t entries, std::int32_t sector_size) noexcept {
    auto const bytes = gpt_entry_size * entries;
    return (bytes + sector_size - 1) / sector_size * sector_size + sector_size;
}

std::int64_t usable_end(disk_layout const& layout, std::int64_t disk_size) noexcept {
    if (layout.table == table_type::gpt) {
        return disk_size - backup_table_size(layout.entries, layout.sector_size);
    }
    // A partition may start just below the limit and be as long.
    return std::min(disk_size, 2 * mbr_sectors * layout.sector_size);
}

partition_entry const* find_partition(disk_layout const& layout, int number) noexcept {
    auto const found = std::ranges::find(layout.partitions, number, &partition_entry::number);
    return found == layout.partitions.end() ? nullptr : &*found;
}

std::string describe(partition_entry const& partition) {
    auto const& type = partition.content.type;
    return "partition " + std::to_string(partition.number) + (type.empty() ? "" : " (" + printable(type) + ")");
}

result<void> check_layout(disk_layout const& layout) {
    return checker(layout).run();
}

} // namespace seedbed
