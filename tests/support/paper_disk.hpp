#pragma once

#include <algorithm>
#include <cstdint>
#include <random>
#include <vector>

#include "core/layout/disk_layout.hpp"
#include "support/sample_layouts.hpp"

namespace seedbed::test {

/// Random disks on paper: any number of partitions with gaps, unaligned ones too, in any order of numbers.
class paper_disk {
public:
    explicit paper_disk(unsigned seed)
        : m_random(seed) {}

    std::int64_t upto(std::int64_t most) { return std::uniform_int_distribution<std::int64_t>(0, most)(m_random); }

    disk_layout make() {
        disk_layout layout = upto(1) == 0 ? sample_gpt() : sample_mbr();
        layout.sector_size = upto(1) == 0 ? 512 : 4096;
        layout.partitions.clear();
        layout.gap_start = layout.gap_size = 0;
        if (layout.table == table_type::gpt) {
            layout.entries = static_cast<int>(4 + upto(252));
            layout.first_usable = layout.sector_size + backup_table_size(layout.entries, layout.sector_size);
            auto const count = std::min<std::int64_t>(upto(12), layout.entries);
            fill(layout, static_cast<int>(count), layout.first_usable, &gpt_partition, 1);
            shuffle_numbers(layout);
        } else {
            make_mbr(layout);
        }
        auto const tail = upto(3) == 0 ? 0 : upto(100 * mib) / layout.sector_size * layout.sector_size;
        layout.disk_size = std::max(m_at, layout.first_usable + layout.sector_size) + tail;
        if (layout.table == table_type::gpt) {
            layout.disk_size += backup_table_size(layout.entries, layout.sector_size);
        }
        return layout;
    }

private:
    std::int64_t size(disk_layout const& layout) {
        auto const sectors = upto(2) == 0 ? 1 + upto(3000) : (1 + upto(5000)) * (mib / layout.sector_size);
        return sectors * layout.sector_size;
    }

    void fill(disk_layout& layout, int count, std::int64_t from, auto partition, int first) {
        m_at = from;
        for (int i = 0; i < count; ++i) {
            if (first > 4 || upto(1) == 0) {
                m_at += (1 + upto(4096)) * layout.sector_size;
            }
            layout.partitions.push_back(partition(first + i, m_at, size(layout), upto(4) == 0 ? "vfat" : "ext4"));
            m_at += layout.partitions.back().size;
        }
    }

    void shuffle_numbers(disk_layout& layout) {
        std::vector<int> numbers(static_cast<std::size_t>(layout.entries));
        for (std::size_t i = 0; i < numbers.size(); ++i) {
            numbers[i] = static_cast<int>(i) + 1;
        }
        std::ranges::shuffle(numbers, m_random);
        for (std::size_t i = 0; i < layout.partitions.size(); ++i) {
            layout.partitions[i].number = numbers[i];
        }
        std::ranges::sort(layout.partitions, {}, &partition_entry::number);
    }

    void make_mbr(disk_layout& layout) {
        auto const count = static_cast<int>(upto(4));
        fill(layout, count, layout.sector_size, &mbr_partition, 1);
        if (count == 0 || upto(1) == 0) {
            return;
        }
        // One of the primary ones becomes extended, and holds its own.
        auto& extended = layout.partitions[static_cast<std::size_t>(upto(count - 1))];
        extended = extended_partition(extended.number, extended.start, extended.size);
        auto const outer_end = m_at;
        auto const start = extended.start;
        auto const end = extended.end();
        fill(layout, static_cast<int>(upto(6)), start, &mbr_partition, 5);
        std::erase_if(layout.partitions, [&](auto const& p) { return p.number > 4 && p.end() > end; });
        m_at = outer_end;
    }

    std::mt19937 m_random;
    std::int64_t m_at = 0;
};

} // namespace seedbed::test
