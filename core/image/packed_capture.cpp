#include "core/image/packed_capture.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <memory>
#include <mutex>
#include <new>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/device/full_transfer.hpp"
#include "core/foundation/lazy_array.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/packed_writer.hpp"
#include "core/image/reading_queue.hpp"
#include "core/image/sha1.hpp"

namespace seedbed {

namespace {

constexpr std::chrono::milliseconds packing_interval{100};
constexpr std::int64_t hole_unit = 4096;
/// Chunks of zeros in one unit of work: they take no memory.
constexpr std::size_t most_cuts = 1024;

/// A chunk to make.
struct cut {
    std::int64_t offset = 0;
    std::int64_t length = 0;
    bool zeros = false;
    bool begins = false; ///< a range
};

/// Cuts ranges into chunks. They end at multiples of the chunk length, so that images of similar sources have similar
/// chunks.
class cutter {
public:
    cutter(std::span<packed_range const> ranges, std::int64_t chunk_length)
        : m_ranges(ranges)
        , m_chunk_length(chunk_length) {}

    [[nodiscard]] bool done() const noexcept { return m_ranges.empty(); }
    /// The next chunk. Only if not done().
    [[nodiscard]] cut peek() const noexcept {
        auto const& range = m_ranges.front();
        auto const offset = range.offset + m_within;
        auto const left = range.length - m_within;
        auto const longest =
            range.zeros ? std::int64_t{packed_limits::zero_chunk} : m_chunk_length - offset % m_chunk_length;
        return {offset, std::min(left, longest), range.zeros, m_within == 0};
    }
    void skip() noexcept {
        m_within += peek().length;
        if (m_within == m_ranges.front().length) {
            m_ranges = m_ranges.subspan(1);
            m_within = 0;
        }
    }

private:
    std::span<packed_range const> m_ranges;
    std::int64_t const m_chunk_length;
    std::int64_t m_within = 0; ///< bytes of the first range that have been cut
};

class packing {
public:
    packing(block_device& source, std::span<packed_range const> ranges, packed_file const& to,
            packing_options const& options)
        : m_source(source)
        , m_to(to)
        , m_options(options)
        , m_threads(options.threads > 0 ? options.threads
                                        : static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U)))
        , m_cutter(ranges, packed_writer::chunk_length(options.geometry.piece_length))
        , m_unit_size(reading_request(options.profile))
        , m_unit_count(static_cast<std::size_t>(2 * m_threads + std::min(options.profile.queue_depth, 32) + 2))
        , m_memory(m_unit_count * static_cast<std::size_t>(m_unit_size))
        , m_writer(options.geometry, chunk_packer(options.level),
                   [this](piece_index number, made_piece piece) { return take(number, std::move(piece)); })
        , m_workers("pack", m_threads)
        , m_queue(make_reading_queue(source, options.profile)) {
        for (std::size_t i = 0; i < m_unit_count; ++i) {
            m_units.push_back(std::make_unique<unit>(*this, &m_memory[i * static_cast<std::size_t>(m_unit_size)]));
        }
    }

    [[nodiscard]] result<std::optional<packed_content>, io_error> run() {
        while (!stopping() && (!m_cutter.done() || m_laid_out < m_started)) {
            if (!m_cutter.done() && m_started - m_laid_out < m_unit_count) {
                start(*m_units[m_started++ % m_unit_count]);
            } else {
                auto& next = *m_units[m_laid_out % m_unit_count];
                wait([&next] { return next.is_packed(); });
                if (stopping()) {
                    break;
                }
                lay_out(next);
                ++m_laid_out;
            }
        }
        if (!stopping()) {
            m_writer.finish();
        }
        wait_for_pieces(0);
        m_queue.reset(); // ends what is in flight, before its memory
        std::scoped_lock const lock(m_mutex);
        if (m_failed) {
            return tl::make_unexpected(m_failed->device == m_source.path() ? first_unreadable(m_source, *m_failed)
                                                                           : *m_failed);
        }
        if (cancelled()) {
            return std::nullopt;
        }
        return packed_content{m_writer.index(), std::move(m_hashes), m_writer.packed_size(), m_writer.padding()};
    }

private:
    /// Chunks that are read by one request and then packed by one thread. Reused.
    class unit final : public io_job {
    public:
        unit(packing& owner, std::byte* memory)
            : io_job(direction::read)
            , m_owner(owner)
            , m_memory(memory) {}

        /// Only while it is neither being read nor packed. \return whether the chunk fits.
        [[nodiscard]] bool add_cut(cut const& which) {
            auto const length = which.zeros ? 0 : which.length;
            if (m_length + length > m_owner.m_unit_size || m_cuts.size() == most_cuts) {
                return false;
            }
            if (m_cuts.empty()) {
                set_position(device_offset{which.offset});
            }
            m_cuts.push_back(which);
            m_length += length;
            return true;
        }
        void prepare() override {
            clear();
            if (m_owner.stopping()) {
                return;
            }
            auto* to = m_memory;
            for (auto const& each : m_cuts) {
                if (!each.zeros) {
                    add(each.offset, to, static_cast<std::size_t>(each.length));
                    to += each.length;
                }
            }
        }
        void end(result<void, io_error> const& outcome) override {
            if (!outcome) {
                m_owner.fail(outcome.error());
            }
            retry_on_bad_alloc([this] { m_owner.m_workers.submit([this] { pack(); }); });
        }

        /// Calls \p take(made, raw) for each chunk, then empties the unit.
        template <class Take>
        void release(Take const& take) {
            auto* raw = m_memory;
            for (std::size_t i = 0; i < m_made.size(); ++i) {
                auto const length = m_cuts[i].zeros ? 0 : static_cast<std::size_t>(m_cuts[i].length);
                take(m_made[i], std::span<std::byte const>(raw, length));
                raw += length;
            }
            m_made.clear();
            m_cuts.clear();
            m_length = 0;
            m_packed = false;
        }
        [[nodiscard]] bool is_packed() const noexcept { return m_packed; }

    private:
        void pack() {
            try {
                if (!m_owner.stopping()) {
                    pack_cuts();
                }
            } catch (std::bad_alloc const&) {
                m_owner.fail(make_io_error(io_operation::read, m_owner.m_to.path, {}, 0, ENOMEM));
            }
            std::scoped_lock const lock(m_owner.m_mutex);
            m_packed = true;
            m_owner.m_changed.notify_one();
        }
        void pack_cuts() {
            auto packer = m_owner.take_packer();
            auto const* raw = m_memory;
            for (auto const& each : m_cuts) {
                device_offset const offset{each.offset};
                if (each.zeros) {
                    m_made.push_back({{offset, static_cast<std::int32_t>(each.length)}, {}, each.begins});
                    continue;
                }
                m_made.push_back(packer.pack(offset, {raw, static_cast<std::size_t>(each.length)}));
                m_made.back().apart = each.begins;
                raw += each.length;
            }
            m_owner.give_back(std::move(packer));
        }

        packing& m_owner;
        std::byte* const m_memory;
        std::vector<cut> m_cuts;
        std::int64_t m_length = 0;      ///< bytes to read
        std::vector<made_chunk> m_made; ///< as many as cuts, once it is packed
        bool m_packed = false;          ///< guarded by m_mutex
    };

    void start(unit& next) {
        while (!m_cutter.done() && next.add_cut(m_cutter.peek())) {
            m_cutter.skip();
        }
        m_queue->submit(&next);
    }

    void lay_out(unit& next) {
        next.release([this](made_chunk const& made, std::span<std::byte const> raw) {
            m_writer.add(made, raw);
            m_done += made.chunk.raw_length;
        });
    }

    /// Takes a complete piece from the writer, on the thread of run(). \return a buffer for the next one.
    [[nodiscard]] std::vector<std::byte> take(piece_index number, made_piece piece) {
        wait_for_pieces(2 * m_threads);
        auto const shared = std::make_shared<made_piece>(std::move(piece));
        std::vector<std::byte> buffer;
        {
            std::scoped_lock const lock(m_mutex);
            m_hashes.emplace_back();
            ++m_pieces;
            if (!m_buffers.empty()) {
                buffer = std::move(m_buffers.back());
                m_buffers.pop_back();
            }
        }
        m_workers.submit([this, number, shared] { save(number, *shared); });
        return buffer;
    }

    /// Hashes and writes a piece, on a worker.
    void save(piece_index number, made_piece& piece) {
        auto const head = std::as_bytes(std::span(piece.head));
        std::span<std::byte const> const body(piece.body);
        sha1_sum sum;
        sum.update(head);
        sum.update(body);
        auto const digest = sum.final();
        auto const begin = std::int64_t{number.value()} * m_options.geometry.piece_length;
        write(begin, head);
        write(begin + static_cast<std::int64_t>(head.size()), body);
        std::scoped_lock const lock(m_mutex);
        m_buffers.push_back(std::move(piece.body));
        m_hashes[static_cast<std::size_t>(number.value())] = digest;
        --m_pieces;
        m_changed.notify_one();
    }
    void write(std::int64_t offset, std::span<std::byte const> bytes) {
        auto const call = [this](std::byte const* from, std::size_t count, std::int64_t at) {
            return ::pwrite(m_to.fd, from, count, at);
        };
        auto const code = stopping() ? 0 : transfer_fully(call, offset, bytes);
        if (code != 0) {
            fail(make_io_error(io_operation::write, m_to.path, device_offset{offset},
                               static_cast<std::int64_t>(bytes.size()), code));
        }
    }

    [[nodiscard]] chunk_packer take_packer() {
        std::scoped_lock const lock(m_mutex);
        if (m_packers.empty()) {
            return chunk_packer(m_options.level);
        }
        auto packer = std::move(m_packers.back());
        m_packers.pop_back();
        return packer;
    }
    void give_back(chunk_packer packer) {
        std::scoped_lock const lock(m_mutex);
        m_packers.push_back(std::move(packer));
    }

    [[nodiscard]] bool cancelled() const {
        return m_options.cancelled != nullptr && m_options.cancelled->load(std::memory_order_relaxed);
    }
    /// Whether work that has not started is no longer needed.
    [[nodiscard]] bool stopping() const { return m_has_failed.load(std::memory_order_relaxed) || cancelled(); }

    void wait_for_pieces(int most) {
        std::unique_lock lock(m_mutex);
        wait_locked(lock, [&] { return m_pieces <= most; });
    }
    /// Waits for \p condition, which is called with the lock held, or for the end of the work.
    template <class Condition>
    void wait(Condition const& condition) {
        std::unique_lock lock(m_mutex);
        wait_locked(lock, [&] { return condition() || stopping(); });
    }
    template <class Condition>
    void wait_locked(std::unique_lock<std::mutex>& lock, Condition const& condition) {
        for (;;) {
            auto const now = std::chrono::steady_clock::now();
            if (m_options.progress && now >= m_next_progress) {
                m_next_progress = now + packing_interval;
                lock.unlock();
                m_options.progress({m_done, m_writer.packed_size()});
                lock.lock();
            }
            if (m_changed.wait_until(lock, now + packing_interval, condition)) {
                return;
            }
        }
    }

    void fail(io_error const& why) {
        std::scoped_lock const lock(m_mutex);
        if (!m_failed) {
            m_failed = copy_of(why);
        }
        m_has_failed.store(true, std::memory_order_relaxed);
        m_changed.notify_one();
    }

    block_device& m_source;
    packed_file const& m_to;
    packing_options const& m_options;
    int const m_threads;
    cutter m_cutter;
    std::int64_t const m_unit_size;
    std::size_t const m_unit_count;
    lazy_array<std::byte> const m_memory;
    std::vector<std::unique_ptr<unit>> m_units;
    std::size_t m_started = 0;  ///< units; the next one is m_units[m_started % m_unit_count]
    std::size_t m_laid_out = 0; ///< units
    std::int64_t m_done = 0;    ///< bytes of the source
    std::chrono::steady_clock::time_point m_next_progress{};
    std::atomic<bool> m_has_failed{false}; ///< m_failed is set
    std::mutex m_mutex;                    ///< guards the members below, except the writer, and unit::m_packed
    std::condition_variable m_changed;
    std::vector<chunk_packer> m_packers;           ///< that no worker uses
    std::vector<std::vector<std::byte>> m_buffers; ///< of pieces that are written
    std::vector<sha1_digest> m_hashes;
    int m_pieces = 0; ///< that are being hashed or written
    std::optional<io_error> m_failed;
    packed_writer m_writer; ///< of the thread of run()
    worker_pool m_workers;
    std::unique_ptr<io_queue> m_queue; ///< last, so that its threads end before the members that they use
};

} // namespace

std::vector<packed_range> ranges_of(std::vector<extent> used, std::int32_t sector_size, std::int64_t size) {
    std::ranges::sort(used, {}, &extent::device_offset);
    std::vector<packed_range> ranges;
    for (auto const& each : used) {
        auto const begin = each.device_offset / sector_size * sector_size;
        auto const last = each.device_offset + each.length + sector_size - 1;
        auto const end = std::min(last / sector_size * sector_size, size);
        if (!ranges.empty() && begin <= ranges.back().offset + ranges.back().length) {
            ranges.back().length = std::max(ranges.back().length, end - ranges.back().offset);
        } else {
            ranges.push_back({begin, end - begin});
        }
    }
    return ranges;
}

result<std::vector<packed_range>> whole_source(block_device const& source) {
    auto const size = source.size();
    auto const raw = source.raw();
    struct ::stat status = {};
    if (raw && ::fstat(raw->cached, &status) != 0) {
        return tl::unexpected(errno_error(source.path(), errno));
    }
    if (!raw || !S_ISREG(status.st_mode)) {
        return std::vector<packed_range>{{0, size}};
    }
    auto const failed = [&] {
        return tl::unexpected(errno_error(source.path() + ": its holes cannot be found", errno));
    };
    std::vector<packed_range> ranges;
    auto const add = [&ranges](std::int64_t begin, std::int64_t end, bool zeros) {
        if (begin < end) {
            ranges.push_back({begin, end - begin, zeros});
        }
    };
    for (std::int64_t at = 0; at < size;) {
        auto data = ::lseek(raw->cached, at, SEEK_DATA);
        if (data < 0 && errno == ENXIO) {
            data = size; // a hole up to the end
        }
        if (data < 0) {
            return failed();
        }
        auto const begin = std::min<std::int64_t>(data / hole_unit * hole_unit, size);
        add(at, begin, true);
        auto const hole = data < size ? ::lseek(raw->cached, data, SEEK_HOLE) : size;
        if (hole < 0) {
            return failed();
        }
        auto const end = std::min<std::int64_t>((hole + hole_unit - 1) / hole_unit * hole_unit, size);
        add(std::max(at, begin), end, false);
        at = std::max(end, at + hole_unit);
    }
    return ranges;
}

std::int64_t total_length(std::span<packed_range const> ranges) noexcept {
    std::int64_t total = 0;
    for (auto const& range : ranges) {
        total += range.length;
    }
    return total;
}

result<std::optional<packed_content>, io_error> pack_source(block_device& source, std::span<packed_range const> ranges,
                                                            packed_file const& to, packing_options const& options) {
    return packing(source, ranges, to, options).run();
}

} // namespace seedbed
