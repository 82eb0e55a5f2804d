#include "core/layout/boot_sectors.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

namespace seedbed {

namespace {

constexpr std::size_t hidden_sectors = 0x1c;
constexpr std::size_t boot_magic = 510;

std::uint64_t number_at(std::span<std::byte const> bytes, std::size_t offset, std::size_t size) {
    std::uint64_t value = 0;
    for (std::size_t i = size; i-- > 0;) {
        value = value << 8 | std::to_integer<std::uint64_t>(bytes[offset + i]);
    }
    return value;
}

/// Offset of the backup in the partition; 0 if it has none.
std::int64_t backup_of(std::span<std::byte const> boot, bool ntfs, std::int64_t sector, std::int64_t size) {
    std::uint64_t number = 0;
    if (ntfs) {
        number = number_at(boot, 0x28, 8);
    } else if (number_at(boot, 0x16, 2) == 0) { // only FAT32 has no size of its tables here
        number = number_at(boot, 0x32, 2);
    }
    return number < static_cast<std::uint64_t>(size / sector) ? static_cast<std::int64_t>(number) * sector : 0;
}

/// The partition's first sector as the field has it, in the image or on the target.
std::array<std::byte, 4> position_field(std::int64_t start, std::int64_t sector) {
    auto const number = static_cast<std::uint32_t>(start / sector);
    std::array<std::byte, 4> bytes{};
    for (std::size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<std::byte>(number >> (8 * i));
    }
    return bytes;
}

/// The boot sectors of a file system that has moved.
class moved_boot_sectors {
public:
    /// Takes a sector, whose offset on the device is in bytes.
    using visitor = std::function<result<void, io_error>(std::int64_t, std::span<std::byte>)>;

    moved_boot_sectors(block_device& device, partition_entry const& partition, std::int64_t sector)
        : m_device(device)
        , m_partition(partition)
        , m_bytes(static_cast<std::size_t>(sector)) {}

    /// Visits the first sector and its backup, as far as they state this position.
    result<void, io_error> visit(std::span<std::byte const> position, visitor const& take) {
        auto const sector = static_cast<std::int64_t>(m_bytes.size());
        bool const ntfs = m_partition.content.type == "ntfs";
        std::vector<std::int64_t> places{0}; // in the partition
        for (std::size_t i = 0; i < places.size(); ++i) {
            auto const at = m_partition.start + places[i];
            if (auto read = m_device.read(at, m_bytes); !read) {
                return read;
            }
            if (!is_boot_sector(ntfs) || !std::ranges::equal(std::span(m_bytes).subspan(hidden_sectors, 4), position)) {
                return {};
            }
            if (auto const backup = backup_of(m_bytes, ntfs, sector, m_partition.size); i == 0 && backup != 0) {
                places.push_back(backup);
            }
            if (auto taken = take(at, m_bytes); !taken) {
                return taken;
            }
        }
        return {};
    }

private:
    [[nodiscard]] bool is_boot_sector(bool ntfs) const {
        std::string_view const text(reinterpret_cast<char const*>(m_bytes.data()), m_bytes.size());
        return text.substr(boot_magic, 2) == "\x55\xaa" && (!ntfs || text.substr(3, 8) == "NTFS    ") &&
               number_at(m_bytes, 0x0b, 2) == m_bytes.size();
    }

    block_device& m_device;
    partition_entry const& m_partition;
    std::vector<std::byte> m_bytes;
};

/// Calls \p take(partition, its shift) for each partition that has moved and whose boot sectors state its position.
template <class Take>
result<void, io_error> for_each_moved(deployment_plan const& plan, Take const& take) {
    for (auto const& range : plan.ranges) {
        auto const& partitions = plan.target.partitions;
        auto const found = std::ranges::find_if(partitions, [&](partition_entry const& partition) {
            return partition.start == range.start + range.shift && partition.role != partition_role::extended;
        });
        if (range.shift == 0 || found == partitions.end() ||
            (found->content.type != "ntfs" && found->content.type != "vfat")) {
            continue;
        }
        if (auto taken = take(*found, range.start); !taken) {
            return taken;
        }
    }
    return {};
}

} // namespace

result<int, io_error> correct_boot_sectors(block_device& device, deployment_plan const& plan) {
    int written = 0;
    std::int64_t const sector = plan.target.sector_size;
    auto const done = for_each_moved(plan, [&](partition_entry const& partition, std::int64_t old_start) {
        auto const now = position_field(partition.start, sector);
        auto const correct = [&](std::int64_t offset, std::span<std::byte> bytes) {
            std::ranges::copy(now, bytes.begin() + hidden_sectors);
            ++written;
            return device.write(offset, bytes);
        };
        return moved_boot_sectors(device, partition, sector).visit(position_field(old_start, sector), correct);
    });
    if (!done) {
        return tl::unexpected(done.error());
    }
    if (written > 0) {
        if (auto const flushed = device.flush(); !flushed) {
            return tl::unexpected(flushed.error());
        }
    }
    return written;
}

result<std::vector<corrected_field>, io_error> corrected_fields(block_device& device, deployment_plan const& plan) {
    std::vector<corrected_field> fields;
    std::int64_t const sector = plan.target.sector_size;
    auto const done = for_each_moved(plan, [&](partition_entry const& partition, std::int64_t old_start) {
        auto const add = [&](std::int64_t offset, std::span<std::byte> /*bytes*/) -> result<void, io_error> {
            fields.push_back({offset + static_cast<std::int64_t>(hidden_sectors), position_field(old_start, sector)});
            return {};
        };
        return moved_boot_sectors(device, partition, sector).visit(position_field(partition.start, sector), add);
    });
    if (!done) {
        return tl::unexpected(done.error());
    }
    return fields;
}

} // namespace seedbed
