// image_io: writing.

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "core/backend/image_io.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"

namespace seedbed {

void image_io::clear_padding(piece_index piece, std::int32_t block, std::span<std::byte> bytes) const noexcept {
    m_image.torrent().extents.for_each_slice(m_image.stream_offset(piece, block * block_size),
                                             static_cast<std::int64_t>(bytes.size()), [&bytes](extent const& slice) {
                                                 auto const size = static_cast<std::size_t>(slice.length);
                                                 if (slice.device_offset == extent::padding) {
                                                     std::ranges::fill(bytes.first(size), std::byte{0});
                                                 }
                                                 bytes = bytes.subspan(size);
                                             });
}

void image_io::write_block(piece_index piece, std::int32_t block, block_ref memory, std::int32_t length,
                           io_waiter& waiter) {
    m_image.count_taken(length);
    if (m_has_padding) {
        // Padding reads and hashes as zeros, whatever the peer sent.
        clear_padding(piece, block, memory.bytes().first(static_cast<std::size_t>(length)));
    }
    waiter.epoch = m_epochs.begin();
    if (!m_cache.write({m_number, piece, block}, std::move(memory), length, &waiter)) {
        return; // already dirty, or in flight: end_flush() reports it again
    }
    thread_local std::vector<block_run> leaving;
    leaving.clear();
    auto const now = clock::now();
    try {
        m_coalescer.add(piece, block, now, leaving);
    } catch (std::bad_alloc const&) { // it does not wait for neighbours
        block_run const alone{piece, block, block + 1};
        start_writes({&alone, 1});
        return;
    }
    if (!leaving.empty()) {
        start_writes(leaving);
    } else if (m_options.on_dirty) {
        m_options.on_dirty(now + m_delay.load(std::memory_order_relaxed));
    }
}

void image_io::start_writes(std::span<block_run const> runs) noexcept {
    auto const longest = m_coalesce.load(std::memory_order_relaxed);
    for (auto run : runs) {
        // A run that grew while it could not leave is split, so that several threads have work.
        while (run.begin < run.end) {
            block_run const part{run.piece, run.begin, std::min(run.end, run.begin + longest)};
            auto& job = m_writes.take();
            job.begin(part, m_image.on_device(m_image.stream_offset(part.piece, part.begin * block_size)));
            retry_on_bad_alloc([&] { m_queue->submit(&job); });
            run.begin = part.end;
        }
    }
}

void image_io::end_write(write_job& done, result<void, io_error> const& outcome) noexcept {
    assert(done.batch != nullptr); // prepare() comes first
    auto const* failed = done.failed ? &*done.failed : outcome ? nullptr : &outcome.error();
    if (failed != nullptr && !done.failed) {
        m_image.fail_writes(*failed);
    }
    if (failed == nullptr) {
        std::int64_t bytes = 0;
        for (auto const& segment : done.segments()) {
            bytes += segment.length;
        }
        m_image.count_written(bytes, static_cast<std::int64_t>(done.segments().size()));
    }
    end_flush(*done.batch, failed);
    m_batches.give_back(std::move(done.batch));
    m_writes.give_back(done);
    if (m_options.on_freed) {
        m_options.on_freed();
    }
}

void image_io::end_flush(write_batch& done, io_error const* failed) noexcept {
    waiter_list written;
    for (auto& each : done.groups) {
        written.append(m_cache.end_flush(m_number, each.piece, std::span(done.items).subspan(each.first, each.count),
                                         failed == nullptr, done.dirty_again));
        each.again = done.dirty_again.size();
    }
    done.items.clear();
    m_cache.trim(); // the pool may have exceeded its size
    {
        write_epochs::tally const ended(m_epochs, written); // before they are delivered and gone
        hand_out(written, failed);
    }
    // Blocks that were written again leave at once: a fence may wait for them, and its expedite() did not see them.
    std::size_t at = 0;
    for (auto const& each : done.groups) {
        while (at < each.again) {
            block_run run{each.piece, done.dirty_again[at], done.dirty_again[at] + 1};
            while (++at < each.again && done.dirty_again[at] == run.end) {
                ++run.end;
            }
            start_writes({&run, 1});
        }
    }
}

void image_io::when_written(std::function<void()> call) {
    if (m_epochs.when_ended(call)) {
        expedite();
    } else {
        call();
    }
}

void image_io::expedite() noexcept {
    std::vector<block_run> leaving;
    try {
        m_coalescer.take_all(leaving);
    } catch (std::bad_alloc const&) {
        // the others leave when they are due
    }
    start_writes(leaving);
}

void image_io::take_due(clock::time_point now) noexcept {
    std::vector<block_run> leaving;
    try {
        m_coalescer.take_due(now, leaving);
    } catch (std::bad_alloc const&) {
        // the others are still due
    }
    start_writes(leaving);
}

} // namespace seedbed
