#include "core/layout/boot_sectors.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>
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

/// Corrects the boot sectors of one partition, which has moved.
class boot_sector_fix {
public:
    boot_sector_fix(block_device& device, partition_entry const& partition, std::int64_t shift, std::int64_t sector)
        : m_device(device)
        , m_partition(partition)
        , m_sector(sector)
        , m_old(static_cast<std::uint32_t>((partition.start - shift) / sector))
        , m_new(static_cast<std::uint32_t>(partition.start / sector)) {}

    result<int, io_error> run() {
        bool const ntfs = m_partition.content.type == "ntfs";
        auto const first = correct(0, ntfs);
        if (!first) {
            return first;
        }
        auto const backup = backup_of(m_bytes, ntfs, m_sector, m_partition.size);
        if (*first == 0 || backup == 0) {
            return first;
        }
        auto const second = correct(backup, ntfs);
        return second ? *first + *second : second;
    }

private:
    /// \return 1 if it wrote.
    result<int, io_error> correct(std::int64_t offset, bool ntfs) {
        m_bytes.resize(static_cast<std::size_t>(m_sector));
        if (auto const read = m_device.read(m_partition.start + offset, m_bytes); !read) {
            return tl::unexpected(read.error());
        }
        std::string_view const text(reinterpret_cast<char const*>(m_bytes.data()), m_bytes.size());
        if (text.substr(boot_magic, 2) != "\x55\xaa" || (ntfs && text.substr(3, 8) != "NTFS    ") ||
            number_at(m_bytes, 0x0b, 2) != static_cast<std::uint64_t>(m_sector) ||
            number_at(m_bytes, hidden_sectors, 4) != m_old) {
            return 0;
        }
        for (std::size_t i = 0; i < 4; ++i) {
            m_bytes[hidden_sectors + i] = static_cast<std::byte>(m_new >> (8 * i));
        }
        if (auto const written = m_device.write(m_partition.start + offset, m_bytes); !written) {
            return tl::unexpected(written.error());
        }
        return 1;
    }

    block_device& m_device;
    partition_entry const& m_partition;
    std::int64_t m_sector;
    std::uint32_t m_old;
    std::uint32_t m_new;
    std::vector<std::byte> m_bytes;
};

} // namespace

result<int, io_error> correct_boot_sectors(block_device& device, deployment_plan const& plan) {
    int written = 0;
    for (auto const& range : plan.ranges) {
        auto const& partitions = plan.target.partitions;
        auto const found = std::ranges::find_if(partitions, [&](partition_entry const& partition) {
            return partition.start == range.start + range.shift && partition.role != partition_role::extended;
        });
        if (range.shift == 0 || found == partitions.end() ||
            (found->content.type != "ntfs" && found->content.type != "vfat")) {
            continue;
        }
        auto const fixed = boot_sector_fix(device, *found, range.shift, plan.target.sector_size).run();
        if (!fixed) {
            return fixed;
        }
        written += *fixed;
    }
    if (written > 0) {
        if (auto const flushed = device.flush(); !flushed) {
            return tl::unexpected(flushed.error());
        }
    }
    return written;
}

} // namespace seedbed
