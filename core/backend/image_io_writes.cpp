// image_io: writing.

#include <algorithm>
#include <cassert>
#include <new>
#include <utility>

#include "core/backend/image_io_jobs.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"

namespace seedbed {

namespace {

/// Blocks that are taken in one hold of a stripe's lock.
constexpr std::int32_t taken_at_once = 32;

} // namespace

// --- a write

void image_io::write_job::begin(block_run const& run, std::int64_t position) noexcept {
    clear();
    set_position(position);
    m_run = run;
    failed.reset();
}

void image_io::write_job::prepare() {
    auto const most = m_owner.m_most.load(std::memory_order_relaxed);
    batch = m_owner.take_batch(std::max(most, m_run.end - m_run.begin));
    failed = m_owner.m_image.write_failure();
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

void image_io::write_job::take_following(std::int32_t next, std::int32_t most) {
    auto const& image = m_owner.m_image;
    auto piece = m_run.piece;
    while (batch->size() > 0 && batch->size() < most) {
        if (next == image.blocks_in_piece(piece)) {
            next = 0;
            if (++piece == image.torrent().piece_count) {
                return;
            }
        }
        auto const room = std::min(most - batch->size(), taken_at_once);
        auto const end = std::min(image.blocks_in_piece(piece), next + room);
        auto const stopped = take(piece, next, end);
        if (stopped > next) {
            m_owner.m_coalescer.taken({piece, next, stopped});
        }
        if (stopped < end || stopped == next) {
            return;
        }
        next = stopped;
    }
}

std::int32_t image_io::write_job::take(std::int32_t piece, std::int32_t begin, std::int32_t end) {
    auto const first = batch->items.size();
    auto const stopped = m_owner.m_cache.begin_flush(m_owner.m_number, piece, begin, end, batch->items);
    if (batch->items.size() > first) {
        batch->groups.push_back({piece, first, batch->items.size() - first, 0});
    }
    return stopped;
}

void image_io::write_job::add_segments() {
    auto const& image = m_owner.m_image;
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

// --- batches

void image_io::reserve_batches(io_profile const& profile) {
    auto const count = static_cast<std::size_t>(std::max(profile.threads, profile.queue_depth));
    auto const blocks = most_blocks(profile);
    std::scoped_lock const lock(m_jobs_mutex);
    m_batches.reserve(std::max(count, m_batches_made));
    for (auto const& each : m_batches) {
        each->make_room(blocks);
    }
    while (m_batches_made < count) {
        m_batches.push_back(std::make_unique<write_batch>(blocks));
        ++m_batches_made;
    }
}

std::unique_ptr<image_io::write_batch> image_io::take_batch(std::int32_t blocks) noexcept {
    std::unique_ptr<write_batch> taken;
    retry_on_bad_alloc([&] {
        std::scoped_lock const lock(m_jobs_mutex);
        if (m_batches.empty()) { // the queue works on more than its profile says
            m_batches.reserve(m_batches_made + 1);
            m_batches.push_back(std::make_unique<write_batch>(blocks));
            ++m_batches_made;
        }
        m_batches.back()->make_room(blocks); // does nothing, unless the profile has changed meanwhile
        taken = std::move(m_batches.back());
        m_batches.pop_back();
    });
    return taken;
}

void image_io::give_back(std::unique_ptr<write_batch> batch) noexcept {
    batch->clear();
    std::scoped_lock const lock(m_jobs_mutex);
    m_batches.push_back(std::move(batch));
}

// --- blocks come and go

void image_io::clear_padding(std::int32_t piece, std::int32_t block, std::span<std::byte> bytes) const noexcept {
    m_image.torrent().extents.for_each_slice(m_image.stream_offset(piece, block * block_size),
                                             static_cast<std::int64_t>(bytes.size()), [&bytes](extent const& slice) {
                                                 auto const size = static_cast<std::size_t>(slice.length);
                                                 if (slice.device_offset == extent::padding) {
                                                     std::ranges::fill(bytes.first(size), std::byte{0});
                                                 }
                                                 bytes = bytes.subspan(size);
                                             });
}

void image_io::write_block(std::int32_t piece, std::int32_t block, block_ref memory, std::int32_t length,
                           io_waiter& waiter) {
    m_image.count_taken(length);
    if (m_has_padding) {
        // Padding reads and hashes as zeros, whatever the peer has sent.
        clear_padding(piece, block, memory.bytes().first(static_cast<std::size_t>(length)));
    }
    waiter.epoch = m_epochs.begin();
    if (!m_cache.write({m_number, piece, block}, std::move(memory), length, &waiter)) {
        return; // dirty already, or on its way: end_flush() names it again
    }
    thread_local std::vector<block_run> leaving;
    leaving.clear();
    auto const now = clock::now();
    try {
        m_coalescer.add(piece, block, now, leaving);
    } catch (std::bad_alloc const&) { // it waits for no neighbours
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
        // A run that grew while it could not leave is cut, so that several threads have work.
        while (run.begin < run.end) {
            block_run const part{run.piece, run.begin, std::min(run.end, run.begin + longest)};
            auto& job = take_job(m_writes);
            job.begin(part, m_image.device_offset(m_image.stream_offset(part.piece, part.begin * block_size)));
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
    give_back(std::move(done.batch));
    give_back(m_writes, done);
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
    m_cache.trim(); // the pool may have lent more than its size
    {
        write_epochs::tally const ended(m_epochs, written); // before they are handed out, and gone
        hand_out(written, failed);
    }
    // Blocks that were written again go at once: a fence may wait for them, whose expedite() did not see them.
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
