#include "core/backend/transfer_jobs.hpp"

#include <algorithm>
#include <cstddef>
#include <span>

namespace seedbed {

namespace {

/// Blocks taken each time a stripe's lock is held.
constexpr std::int32_t taken_at_once = 32;

} // namespace

void fill_job::begin(piece_cache::fill& wanted, device_offset position) noexcept {
    clear();
    set_position(position);
    fill.first = wanted.first;
    fill.blocks.swap(wanted.blocks);
}

void fill_job::prepare() {
    auto const& image = m_parts.image;
    for (std::size_t i = 0; i < fill.blocks.size(); ++i) {
        auto const block = fill.first.block + static_cast<std::int32_t>(i);
        auto const length = std::min(block_size, image.piece_size(fill.first.piece) - block * block_size);
        auto memory = fill.blocks[i].bytes();
        image.torrent().extents.for_each_slice(image.stream_offset(fill.first.piece, block * block_size), length,
                                               [&](extent const& slice) {
                                                   auto const size = static_cast<std::size_t>(slice.length);
                                                   if (slice.device_offset == extent::padding) {
                                                       std::ranges::fill(memory.first(size), std::byte{0});
                                                   } else {
                                                       add(slice.device_offset, memory.data(), size);
                                                   }
                                                   memory = memory.subspan(size);
                                               });
    }
}

void write_job::begin(block_run const& run, device_offset position) noexcept {
    clear();
    set_position(position);
    m_run = run;
    failed.reset();
}

void write_job::prepare() {
    auto const most = m_parts.most.load(std::memory_order_relaxed);
    batch = m_parts.batches.take(std::max(most, m_run.end - m_run.begin));
    failed = m_parts.image.write_failure();
    for (auto block = m_run.begin; block < m_run.end;) {
        block = take(m_run.piece, block, m_run.end) + 1;
    }
    take_following(m_run.end, most);
    if (!failed) {
        retry_on_bad_alloc([this] {
            clear();
            add_segments();
        });
    }
}

void write_job::take_following(std::int32_t next, std::int32_t most) {
    auto const& image = m_parts.image;
    auto piece = m_run.piece;
    while (batch->size() > 0 && batch->size() < most) {
        if (next == image.blocks_in_piece(piece)) {
            next = 0;
            if ((++piece).value() == image.torrent().piece_count) {
                return;
            }
        }
        auto const room = std::min(most - batch->size(), taken_at_once);
        auto const end = std::min(image.blocks_in_piece(piece), next + room);
        auto const stopped = take(piece, next, end);
        if (stopped > next) {
            m_parts.coalescer.taken({piece, next, stopped});
        }
        if (stopped < end || stopped == next) {
            return;
        }
        next = stopped;
    }
}

std::int32_t write_job::take(piece_index piece, std::int32_t begin, std::int32_t end) {
    auto const first = batch->items.size();
    auto const stopped = m_parts.cache.begin_flush(m_parts.number, piece, begin, end, batch->items);
    if (batch->items.size() > first) {
        batch->groups.push_back({piece, first, batch->items.size() - first, 0});
    }
    return stopped;
}

void write_job::add_segments() {
    auto const& image = m_parts.image;
    for (auto const& each : batch->groups) {
        for (auto const& item : std::span(batch->items).subspan(each.first, each.count)) {
            auto memory = item.memory.bytes();
            image.torrent().extents.for_each_slice(image.stream_offset(each.piece, item.block * block_size),
                                                   item.length, [&](extent const& slice) {
                                                       auto const size = static_cast<std::size_t>(slice.length);
                                                       if (slice.device_offset != extent::padding) {
                                                           add(slice.device_offset, memory.data(), size);
                                                       }
                                                       memory = memory.subspan(size);
                                                   });
        }
    }
}

} // namespace seedbed
