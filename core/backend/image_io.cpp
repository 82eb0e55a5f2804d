#include "core/backend/image_io.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "core/device/uring_io_queue.hpp"
#include "core/foundation/persist.hpp"

namespace seedbed {

namespace {

/// Read-ahead that may be under way at a time: a share of the pool, so that many peers who ask for many pieces do not
/// push each other's blocks out before they are sent.
constexpr std::int64_t read_ahead_share = 4;
/// Of what is left of that, each read takes a part at most, so that it becomes less little by little.
constexpr std::int64_t read_ahead_part = 4;
/// But no less than this, in blocks: 256 KiB, below which requests cost more than they bring.
constexpr std::int64_t least_read_ahead = 16;

/// Where a disk with a head has fallen behind, one write takes so many times the blocks for which a run need not wait
/// any longer.
constexpr std::int32_t longest_with_head = 4;

/// Blocks that a write takes along at a time: for so many there is memory first, in each of thousands of writes.
constexpr std::int32_t taken_at_once = 32;

std::int32_t to_blocks(std::int64_t bytes) {
    return static_cast<std::int32_t>(std::max<std::int64_t>(bytes / block_size, 1));
}

write_coalescer::policy policy_of(io_profile const& profile) {
    return {to_blocks(profile.coalesce), profile.coalesce > block_size ? profile.delay : std::chrono::milliseconds(0)};
}

} // namespace

/// Reads consecutive blocks of a piece from the device into the cache.
class image_io::fill_job final : public io_job {
public:
    explicit fill_job(image_io& owner)
        : io_job(direction::read)
        , m_owner(owner) {}

    void begin(std::int64_t position) {
        clear();
        set_position(position);
    }

    void prepare() override {
        auto& image = m_owner.m_image;
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

    void end(result<void, io_error> const& outcome) override { m_owner.end_fill(*this, outcome); }

    piece_cache::fill fill;

private:
    image_io& m_owner;
};

/// Writes a run of dirty blocks, and the dirty ones that follow it.
class image_io::write_job final : public io_job {
public:
    struct group {
        std::int32_t piece;
        std::size_t first; ///< of items
        std::size_t count;
        std::size_t again; ///< end of its blocks in dirty_again
    };

    explicit write_job(image_io& owner)
        : io_job(direction::write)
        , m_owner(owner) {}

    /// Throws std::bad_alloc where the run's own blocks could not be taken later.
    void begin(block_run const& run, std::int64_t position) {
        clear();
        set_position(position);
        m_run = run;
        items.clear();
        groups.clear();
        dirty_again.clear();
        failed.reset();
        auto const blocks = static_cast<std::size_t>(run.end - run.begin);
        items.reserve(blocks);
        groups.reserve(blocks / 2 + 1); // every other one may have left
        dirty_again.reserve(blocks);
    }

    /// Takes what is dirty of the run now: some of it may have left with another, and more may have come behind it.
    void prepare() override {
        failed = m_owner.m_image.write_failure();
        auto const next = take_run();
        try {
            take_more(next);
        } catch (std::bad_alloc const&) {
            // the run alone, then
        }
        if (failed) {
            return;
        }
        try {
            add_segments();
        } catch (std::bad_alloc const&) {
            clear();
            failed = m_owner.no_memory(io_operation::write, m_run.piece, m_run.begin, m_run.end - m_run.begin);
            m_owner.m_image.fail_writes(*failed);
        }
    }

    void end(result<void, io_error> const& outcome) override { m_owner.end_write(*this, outcome); }

    std::vector<piece_cache::flush_item> items;
    std::vector<group> groups;
    std::vector<std::int32_t> dirty_again; ///< blocks; see group::again
    std::optional<io_error> failed;        ///< the image had failed before: nothing was written

    /// The blocks of its run, into memory that is there. \return the block behind the last one.
    std::int32_t take_run() noexcept {
        for (auto block = m_run.begin; block < m_run.end;) {
            block = take(m_run.piece, block, m_run.end) + 1;
        }
        return m_run.end;
    }

private:
    void take_more(std::int32_t next) {
        auto longest = m_owner.m_longest.load(std::memory_order_relaxed);
        if (m_owner.in_device_order() && longest > 1) {
            longest *= longest_with_head;
        }
        auto piece = m_run.piece;
        while (!items.empty() && static_cast<std::int32_t>(items.size()) < longest) {
            if (next == m_owner.m_image.blocks_in_piece(piece)) {
                next = 0;
                if (++piece == m_owner.m_image.torrent().piece_count) {
                    break;
                }
            }
            auto const room = std::min(longest - static_cast<std::int32_t>(items.size()), taken_at_once);
            auto const end = std::min(m_owner.m_image.blocks_in_piece(piece), next + room);
            make_room(end - next);
            auto const stopped = take(piece, next, end);
            if (stopped > next) {
                m_owner.m_coalescer.taken({piece, next, stopped});
            }
            if (stopped < end || stopped == next) {
                break;
            }
            next = stopped;
        }
    }

    /// For so many blocks more, at most: what is taken must not be lost.
    void make_room(std::int32_t blocks) {
        auto const needed = items.size() + static_cast<std::size_t>(blocks);
        auto const wanted = items.capacity() < needed ? std::max(needed, 2 * items.capacity()) : items.capacity();
        if (groups.size() == groups.capacity()) {
            groups.reserve(2 * groups.capacity());
        }
        dirty_again.reserve(wanted);
        items.reserve(wanted);
    }

    std::int32_t take(std::int32_t piece, std::int32_t begin, std::int32_t end) {
        auto const first = items.size();
        auto const stopped = m_owner.m_cache.begin_flush(m_owner.m_number, piece, begin, end, items);
        if (items.size() > first) {
            groups.push_back({piece, first, items.size() - first, 0});
        }
        return stopped;
    }

    void add_segments() {
        auto& image = m_owner.m_image;
        for (auto const& each : groups) {
            for (auto const& item : std::span(items).subspan(each.first, each.count)) {
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

    image_io& m_owner;
    block_run m_run;
};

image_io::image_io(image_device& image, std::uint32_t number, piece_cache& cache, io_profile const& profile,
                   engine_options options)
    : m_image(image)
    , m_number(number)
    , m_cache(cache)
    , m_options(std::move(options))
    , m_coalescer(image.torrent().piece_count, (image.torrent().piece_length + block_size - 1) / block_size,
                  image.blocks_in_piece(image.torrent().piece_count - 1), policy_of(profile))
    , m_read_ahead(to_blocks(profile.read_ahead))
    , m_longest(to_blocks(profile.coalesce))
    , m_delay(policy_of(profile).delay)
    , m_elevator(profile.elevator)
    , m_has_padding(std::ranges::any_of(image.torrent().extents.extents(),
                                        [](extent const& each) { return each.device_offset == extent::padding; })) {
    m_spare = std::make_unique<write_job>(*this);
    m_spare->begin({0, 0, 1}, 0); // for its memory
    if (wants_ring(image.writable_device(), profile)) {
        if (auto ring = make_uring_io_queue(image.writable_device(), profile, m_options.registered_memory)) {
            m_queue = std::move(*ring);
        } else {
            m_ring_refused = ring.error();
        }
    }
    if (!m_queue) {
        m_queue = make_thread_io_queue(image.writable_device(), profile);
    }
}

image_io::~image_io() {
    m_queue.reset();
    m_cache.drop_clean(m_number);
}

void image_io::set_profile(io_profile const& profile) {
    m_coalescer.set_policy(policy_of(profile));
    m_read_ahead.store(to_blocks(profile.read_ahead), std::memory_order_relaxed);
    m_longest.store(to_blocks(profile.coalesce), std::memory_order_relaxed);
    m_delay.store(policy_of(profile).delay, std::memory_order_relaxed);
    m_elevator.store(profile.elevator, std::memory_order_relaxed);
    m_queue->set_profile(profile);
}

template <class Job>
std::unique_ptr<Job> image_io::take_job(job_store<Job>& from) {
    {
        std::scoped_lock const lock(m_jobs_mutex);
        if (!from.free.empty()) {
            auto job = std::move(from.free.back());
            from.free.pop_back();
            return job;
        }
        if (from.free.capacity() <= from.made) {
            from.free.reserve(2 * from.made + 1);
        }
        ++from.made;
    }
    return std::make_unique<Job>(*this);
}

template <class Job>
void image_io::give_back(job_store<Job>& to, Job& job) noexcept {
    std::scoped_lock const lock(m_jobs_mutex);
    to.free.emplace_back(&job);
}

void image_io::hand_out(waiter_list waiters, io_error const* failed) noexcept {
    while (!waiters.empty()) {
        // Those of one session are neighbours, mostly: they go back together.
        auto* const sink = static_cast<io_waiter*>(waiters.first)->sink;
        waiter_list same;
        while (!waiters.empty() && static_cast<io_waiter*>(waiters.first)->sink == sink) {
            same.push(waiters.pop());
        }
        sink->deliver(same, failed);
    }
}

io_error image_io::no_memory(io_operation operation, std::int32_t piece, std::int32_t block,
                             std::int32_t blocks) const noexcept {
    return make_io_error(operation, m_image.device().path(),
                         m_image.device_offset(m_image.stream_offset(piece, block * block_size)),
                         std::int64_t{blocks} * block_size, ENOMEM);
}

// --- reading

read_answer image_io::read_block(std::int32_t piece, std::int32_t block, io_waiter& waiter, block_ref& found) noexcept {
    auto ahead = m_read_ahead.load(std::memory_order_relaxed);
    // What may not be kept until somebody asks for it is not worth reading either.
    auto const share = m_cache.capacity() / read_ahead_share;
    auto const left = std::max((share - m_cache.filling()) / read_ahead_part, std::min(least_read_ahead, share));
    ahead = static_cast<std::int32_t>(std::clamp<std::int64_t>(std::min(left, m_cache.clean_limit()), 1, ahead));
    auto const begin = block / ahead * ahead;
    return read_block(piece, block, begin, std::min(begin + ahead, m_image.blocks_in_piece(piece)), waiter, found,
                      true);
}

read_answer image_io::read_block(std::int32_t piece, std::int32_t block, std::int32_t begin, std::int32_t end,
                                 io_waiter& waiter, block_ref& found, bool uses) noexcept {
    thread_local piece_cache::fill wanted; // its memory is kept from read to read
    waiter.wanted_piece = piece;
    waiter.wanted_block = block;
    try {
        switch (m_cache.read({m_number, piece, block}, begin, end, &waiter, found, wanted, uses, waiter.share)) {
        case piece_cache::lookup::hit:
            return read_answer::there;
        case piece_cache::lookup::waiting:
            return read_answer::later;
        case piece_cache::lookup::no_memory:
            return read_answer::no_memory;
        case piece_cache::lookup::must_fill:
            start_fill(wanted);
            return read_answer::later;
        }
    } catch (std::bad_alloc const&) {
        waiter_list alone;
        alone.push(&waiter);
        auto const failed = no_memory(io_operation::read, piece, block, 1);
        hand_out(alone, &failed);
    }
    return read_answer::later;
}

void image_io::start_fill(piece_cache::fill& wanted) noexcept {
    auto const first = wanted.first;
    std::unique_ptr<fill_job> job;
    try {
        job = take_job(m_fills);
        job->begin(m_image.device_offset(m_image.stream_offset(first.piece, first.block * block_size)));
        job->fill.first = first;
        job->fill.blocks.swap(wanted.blocks);
        m_queue->submit(job.get());
        static_cast<void>(job.release());
    } catch (std::bad_alloc const&) {
        auto& blocks = job && wanted.blocks.empty() ? job->fill.blocks : wanted.blocks;
        auto const failed = no_memory(io_operation::read, first.piece, first.block, static_cast<int>(blocks.size()));
        wanted.blocks.swap(blocks);
        auto const waiters = m_cache.end_fill(wanted, false);
        wanted.blocks.clear();
        if (job) {
            give_back(m_fills, *job.release());
        }
        hand_out(waiters, &failed);
    }
}

void image_io::end_fill(fill_job& done, result<void, io_error> const& outcome) noexcept {
    auto const blocks = done.fill.blocks.size();
    auto waiters = m_cache.end_fill(done.fill, outcome.has_value());
    done.fill.blocks.clear();
    m_cache.trim(); // what was lent beyond the pool's size
    if (outcome) {
        std::int64_t bytes = 0;
        for (auto const& segment : done.segments()) {
            bytes += segment.length;
        }
        m_image.count_read(bytes);
    }
    give_back(m_fills, done);
    if (outcome) {
        hand_out(waiters, nullptr);
    } else if (blocks == 1) {
        m_image.report(outcome.error());
        hand_out(waiters, &outcome.error());
    } else {
        read_alone(waiters);
    }
    if (m_options.on_freed) {
        m_options.on_freed();
    }
}

void image_io::read_alone(waiter_list waiters) noexcept {
    while (!waiters.empty()) {
        auto& waiter = static_cast<io_waiter&>(*waiters.pop());
        waiter.share = memory_share::any; // it had some just now
        auto const piece = waiter.wanted_piece;
        auto const block = waiter.wanted_block;
        block_ref found;
        auto const answer = read_block(piece, block, block, block + 1, waiter, found, true);
        if (answer == read_answer::later) {
            continue;
        }
        waiter.block = std::move(found);
        auto const failed = no_memory(io_operation::read, piece, block, 1);
        waiter_list one;
        one.push(&waiter);
        hand_out(one, answer == read_answer::there ? nullptr : &failed);
    }
}

// --- writing

void image_io::write_block(std::int32_t piece, std::int32_t block, block_ref memory, std::int32_t length,
                           io_waiter& waiter) {
    m_image.count_taken(length);
    if (m_has_padding) {
        // Zeros there for whoever reads or hashes it, whatever came from the peer.
        auto bytes = memory.bytes();
        m_image.torrent().extents.for_each_slice(m_image.stream_offset(piece, block * block_size), length,
                                                 [&bytes](extent const& slice) {
                                                     auto const size = static_cast<std::size_t>(slice.length);
                                                     if (slice.device_offset == extent::padding) {
                                                         std::ranges::fill(bytes.first(size), std::byte{0});
                                                     }
                                                     bytes = bytes.subspan(size);
                                                 });
    }
    {
        std::scoped_lock const lock(m_epochs_mutex);
        waiter.epoch = m_first_epoch + m_epochs.size() - 1;
        ++m_epochs.back().unwritten;
        m_unwritten.fetch_add(1);
    }
    if (!m_cache.write({m_number, piece, block}, std::move(memory), length, &waiter)) {
        return; // it is on its way: the cache tells when it has to go again
    }
    thread_local std::vector<block_run> leaving;
    leaving.clear();
    auto const now = clock::now();
    try {
        m_coalescer.add(piece, block, now, leaving);
    } catch (std::bad_alloc const&) {
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
    auto const longest = m_longest.load(std::memory_order_relaxed);
    for (auto run : runs) {
        // A run that grew while it could not leave is cut, so that several threads have something to do.
        while (run.begin < run.end) {
            auto const part = block_run{run.piece, run.begin, std::min(run.end, run.begin + longest)};
            try {
                start_write(part);
            } catch (std::bad_alloc const&) {
                fail_writes(part);
            }
            run.begin = part.end;
        }
    }
}

void image_io::start_write(block_run const& run) {
    auto job = take_job(m_writes);
    try {
        job->begin(run, m_image.device_offset(m_image.stream_offset(run.piece, run.begin * block_size)));
        m_queue->submit(job.get());
    } catch (std::bad_alloc const&) {
        give_back(m_writes, *job.release());
        throw;
    }
    static_cast<void>(job.release());
}

void image_io::fail_writes(block_run const& run) noexcept {
    auto const failed = no_memory(io_operation::write, run.piece, run.begin, run.end - run.begin);
    m_image.fail_writes(failed);
    for (auto block = run.begin; block < run.end; ++block) {
        for (bool again = true; again;) {
            waiter_list written;
            {
                std::scoped_lock const lock(m_spare_mutex);
                m_spare->begin({run.piece, block, block + 1}, 0); // within the memory that it has
                m_spare->take_run();
                written = m_cache.end_flush(m_number, run.piece, m_spare->items, false, m_spare->dirty_again);
                again = !m_spare->dirty_again.empty();
                m_spare->items.clear();
            }
            hand_out_written(written, &failed);
        }
    }
}

void image_io::end_write(write_job& done, result<void, io_error> const& outcome) noexcept {
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
    flushed(done, failed);
    give_back(m_writes, done);
    if (m_options.on_freed) {
        m_options.on_freed();
    }
}

void image_io::flushed(write_job& done, io_error const* failed) noexcept {
    waiter_list written;
    for (auto& each : done.groups) {
        written.append(m_cache.end_flush(m_number, each.piece, std::span(done.items).subspan(each.first, each.count),
                                         failed == nullptr, done.dirty_again));
        each.again = done.dirty_again.size();
    }
    done.items.clear();
    m_cache.trim(); // what was lent beyond the pool's size
    hand_out_written(written, failed);
    // What was written again goes at once: a fence may wait for it, which has told everything to leave while it was
    // hidden.
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

void image_io::hand_out_written(waiter_list waiters, io_error const* failed) noexcept {
    // Counted first: they are gone when they have been handed out. Where there are more epochs than fit, the first ones
    // are told a moment early.
    std::array<epoch_count, 16> ended{};
    std::size_t count = 0;
    for (auto const* waiter = waiters.first; waiter != nullptr; waiter = waiter->next) {
        auto const taken_in = static_cast<io_waiter const*>(waiter)->epoch;
        if (count == 0 || ended[count - 1].epoch != taken_in) {
            if (count == ended.size()) {
                writes_ended(ended);
                count = 0;
            }
            ended[count++] = {taken_in, 0};
        }
        ++ended[count - 1].count;
    }
    hand_out(waiters, failed);
    if (count > 0) {
        writes_ended(std::span(ended).first(count));
    }
}

void image_io::writes_ended(std::span<epoch_count const> ended) {
    std::unique_lock lock(m_epochs_mutex);
    for (auto const& each : ended) {
        m_epochs[each.epoch - m_first_epoch].unwritten -= each.count;
        m_unwritten.fetch_sub(each.count);
    }
    while (m_epochs.size() > 1 && m_epochs.front().unwritten == 0) {
        auto const calls = std::move(m_epochs.front().calls);
        m_epochs.pop_front();
        ++m_first_epoch;
        lock.unlock();
        for (auto const& call : calls) {
            persist(call);
        }
        lock.lock();
    }
}

void image_io::when_written(std::function<void()> call) {
    {
        std::scoped_lock const lock(m_epochs_mutex);
        if (m_unwritten.load() > 0) {
            m_epochs.emplace_back(); // first: one without calls does no harm
            m_epochs[m_epochs.size() - 2].calls.push_back(std::exchange(call, nullptr));
        }
    }
    if (call) {
        call();
        return;
    }
    expedite();
}

void image_io::expedite() {
    std::vector<block_run> leaving;
    try {
        m_coalescer.take_all(leaving);
    } catch (std::bad_alloc const&) {
        // what was not taken goes when it is due
    }
    start_writes(leaving);
}

void image_io::take_due(clock::time_point now) {
    std::vector<block_run> leaving;
    try {
        m_coalescer.take_due(now, leaving);
    } catch (std::bad_alloc const&) {
        // what was not taken is due still
    }
    start_writes(leaving);
}

} // namespace seedbed
