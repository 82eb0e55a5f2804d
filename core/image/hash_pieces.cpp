#include "core/image/hash_pieces.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <new>
#include <span>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <sys/mman.h>

#include "core/device/io_queue.hpp"
#include "core/foundation/lazy_array.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/block_layout.hpp"
#include "core/image/reading_queue.hpp"
#include "core/image/sha1.hpp"

namespace seedbed {

namespace {

constexpr std::int64_t mib = 1 << 20;
/// Pieces shorter than this are read and hashed several at a time.
constexpr std::int64_t least_read = 4 * mib;
/// Memory for pieces, in bytes: enough to keep the device busy without straining the machine.
constexpr std::int64_t least_memory = 96 * mib;
constexpr std::int64_t most_memory = 1024 * mib;
constexpr std::chrono::milliseconds progress_interval{100};

class hashing {
public:
    hashing(block_device& device, extent_map const& extents, hashing_options const& options)
        : m_device(device)
        , m_extents(extents)
        , m_options(options)
        , m_threads(options.threads > 0 ? options.threads
                                        : static_cast<int>(std::max(std::thread::hardware_concurrency(), 1U)))
        , m_unit(options.piece_length * std::max<std::int64_t>(least_read / options.piece_length, 1))
        , m_request(reading_request(options.profile))
        , m_memory(static_cast<std::size_t>(unit_count() * m_unit))
        , m_layout(byte_count{extents.total_size()}, byte_count{options.piece_length})
        , m_digests(static_cast<std::size_t>(m_layout.piece_count()))
        , m_workers("hash", m_threads)
        , m_queue(make_reading_queue(device, options.profile)) {
        // Huge pages save address translations during transfers; they are optional.
        static_cast<void>(::madvise(&m_memory[0], m_memory.size(), MADV_HUGEPAGE));
        auto const count = static_cast<std::size_t>(unit_count());
        m_units.reserve(count);
        m_free.reserve(count);
        m_read.reserve(count);
        for (std::size_t i = 0; i < count; ++i) {
            m_units.push_back(std::make_unique<unit>(*this, &m_memory[i * static_cast<std::size_t>(m_unit)]));
            m_free.push_back(m_units.back().get());
        }
        auto const raw = device.raw();
        m_cached = raw && raw->direct < 0 ? raw->cached : -1;
    }

    [[nodiscard]] result<std::optional<std::vector<sha1_digest>>, io_error> run() {
        advise({}, 0, POSIX_FADV_SEQUENTIAL);
        for (std::int64_t at = 0; at < m_extents.total_size(); at += m_unit) {
            auto* const next = wait_for_unit();
            if (next == nullptr) {
                break;
            }
            next->start(torrent_offset{at}, std::min(m_unit, m_extents.total_size() - at));
        }
        wait_for_all();
        std::scoped_lock const lock(m_mutex);
        if (m_failed) {
            return tl::make_unexpected(first_unreadable(m_device, *m_failed));
        }
        if (stopping()) {
            return std::nullopt; // even if the last piece is hashed by now: the caller asked to stop
        }
        return std::move(m_digests);
    }

private:
    class unit;

    /// One request of a unit.
    class request final : public io_job {
    public:
        explicit request(unit& owner)
            : io_job(direction::read)
            , m_owner(owner) {}

        void set(torrent_offset begin, std::byte* memory, std::int64_t length) {
            m_begin = begin;
            m_memory = memory;
            m_length = length;
            m_owner.owner().m_extents.for_each_slice(
                begin, 1, [this](extent const& e) { set_position(device_offset{e.device_offset}); });
        }
        void prepare() override {
            clear();
            auto const& all = m_owner.owner();
            if (all.stopping()) {
                return;
            }
            auto* to = m_memory;
            all.m_extents.for_each_slice(m_begin, m_length, [&](extent const& e) {
                add(e.device_offset, to, static_cast<std::size_t>(e.length));
                to += e.length;
            });
        }
        void end(result<void, io_error> const& outcome) override { m_owner.request_ended(outcome); }

    private:
        unit& m_owner;
        torrent_offset m_begin;
        std::byte* m_memory = nullptr;
        std::int64_t m_length = 0;
    };

    /// Consecutive pieces that are read and then hashed by one thread. Reused.
    class unit {
    public:
        unit(hashing& owner, std::byte* memory)
            : m_hashing(owner)
            , m_memory(memory) {}

        [[nodiscard]] hashing& owner() const noexcept { return m_hashing; }

        void start(torrent_offset begin, std::int64_t length) {
            m_begin = begin;
            m_length = length;
            m_hashing.advise(begin, length, POSIX_FADV_WILLNEED);
            auto const count = static_cast<std::size_t>((length - 1) / m_hashing.m_request + 1);
            while (m_requests.size() < count) {
                m_requests.push_back(std::make_unique<request>(*this));
            }
            m_left.store(static_cast<int>(count), std::memory_order_relaxed);
            std::int64_t at = 0;
            for (std::size_t i = 0; i < count; ++i) {
                auto const part = std::min(m_hashing.m_request, length - at);
                m_requests[i]->set(begin + byte_count{at}, m_memory + at, part);
                at += part;
                m_hashing.m_queue->submit(m_requests[i].get()); // all of them may have ended when this returns
            }
        }

        void request_ended(result<void, io_error> const& outcome) {
            if (!outcome) {
                m_hashing.fail(outcome.error());
            }
            if (m_left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
                m_hashing.read(this);
            }
        }

        /// Calls \p call(number, bytes) for each piece of the unit.
        template <class Call>
        void for_each_piece(Call const& call) const {
            auto const& layout = m_hashing.m_layout;
            auto const pieces = layout.pieces_of(m_begin, byte_count{m_length});
            for (auto piece = pieces.begin; piece < pieces.end; ++piece) {
                auto const within = (layout.begin_of(piece) - m_begin).value();
                auto const length = layout.piece_size(piece).value();
                call(static_cast<std::size_t>(piece.value()),
                     std::span<std::byte const>(m_memory + within, static_cast<std::size_t>(length)));
            }
        }

    private:
        hashing& m_hashing;
        std::byte* const m_memory;
        torrent_offset m_begin;
        std::int64_t m_length = 0;
        std::vector<std::unique_ptr<request>> m_requests;
        std::atomic<int> m_left{0}; ///< requests that have not ended yet
    };

    /// A piece that is hashed along with others.
    struct lane {
        std::size_t piece = 0;
        std::span<std::byte const> left;
        sha1_sum sum;
    };

    /// Passes a unit that has been read to the hash workers.
    void read(unit* which) {
        {
            std::scoped_lock const lock(m_mutex);
            m_read.push_back(which);
        }
        retry_on_bad_alloc([this] { m_workers.submit([this] { hash_some(); }); });
    }

    /// Hashes units that have been read, at most one worker's share, so that all workers have something to do.
    void hash_some() {
        std::array<unit*, most_sha1_lanes> taken{};
        std::size_t count = 0;
        {
            std::scoped_lock const lock(m_mutex);
            auto const threads = static_cast<std::size_t>(m_threads);
            auto const share = sha1_in_lanes() ? (m_read.size() + threads - 1) / threads : 1;
            count = std::min({share, m_read.size(), most_sha1_lanes});
            auto const end = m_read.begin() + static_cast<std::ptrdiff_t>(count);
            std::copy(m_read.begin(), end, taken.begin());
            m_read.erase(m_read.begin(), end);
        }
        auto const units = std::span(taken).first(count);
        try {
            hash_pieces_of(units);
        } catch (std::bad_alloc const&) {
            fail(make_io_error(io_operation::hash, m_device.path(), {}, 0, ENOMEM));
        }
        for (auto* const each : units) {
            release(each);
        }
    }

    void hash_pieces_of(std::span<unit* const> units) {
        std::vector<lane> lanes;
        for (auto const* each : units) {
            each->for_each_piece([&lanes](std::size_t piece, std::span<std::byte const> bytes) {
                lanes.push_back({piece, bytes, {}});
            });
        }
        for (std::size_t at = 0; at < lanes.size(); at += most_sha1_lanes) {
            hash(std::span(lanes).subspan(at, std::min(most_sha1_lanes, lanes.size() - at)));
        }
    }

    void hash(std::span<lane> lanes) {
        constexpr auto step = static_cast<std::size_t>(mib);
        for (bool more = true; more && !stopping();) {
            std::array<sha1_part, most_sha1_lanes> parts;
            std::size_t count = 0;
            std::int64_t bytes = 0;
            for (auto& each : lanes) {
                auto const part = each.left.first(std::min(step, each.left.size()));
                if (!part.empty()) {
                    parts[count++] = {&each.sum, part};
                    each.left = each.left.subspan(part.size());
                    bytes += static_cast<std::int64_t>(part.size());
                }
            }
            sha1_update(std::span(parts).first(count));
            m_hashed.fetch_add(bytes, std::memory_order_relaxed);
            more = count > 0;
        }
        for (auto& each : lanes) {
            m_digests[each.piece] = each.sum.final(); // invalid, and unused, if the hashing was stopped
        }
    }

    [[nodiscard]] std::int64_t unit_count() const {
        auto const all = (m_extents.total_size() - 1) / m_unit + 1;
        auto const wanted = std::max<std::int64_t>(m_threads + 2, least_memory / m_unit);
        return std::min(all, std::clamp<std::int64_t>(most_memory / m_unit, 2, wanted));
    }

    /// Advises the kernel of upcoming reads through the page cache. Only a hint.
    void advise(torrent_offset begin, std::int64_t length, int advice) const {
        if (m_cached < 0) {
            return;
        }
        if (length == 0) {
            static_cast<void>(::posix_fadvise(m_cached, 0, 0, advice));
            return;
        }
        m_extents.for_each_slice(begin, length, [&](extent const& e) {
            static_cast<void>(::posix_fadvise(m_cached, e.device_offset, e.length, advice));
        });
    }

    /// Waits for a free unit; null if there is nothing left to do.
    [[nodiscard]] unit* wait_for_unit() {
        std::unique_lock lock(m_mutex);
        wait(lock, [this] { return !m_free.empty() || stopping(); });
        if (stopping()) {
            return nullptr;
        }
        auto* const next = m_free.back();
        m_free.pop_back();
        return next;
    }
    void wait_for_all() {
        std::unique_lock lock(m_mutex);
        wait(lock, [this] { return m_free.size() == m_units.size(); });
    }

    template <class Condition>
    void wait(std::unique_lock<std::mutex>& lock, Condition const& condition) {
        for (;;) {
            auto const now = std::chrono::steady_clock::now();
            if (m_options.progress && now >= m_next_progress) {
                m_next_progress = now + progress_interval;
                lock.unlock();
                m_options.progress(m_hashed.load(std::memory_order_relaxed));
                lock.lock();
            }
            if (m_changed.wait_until(lock, now + progress_interval, condition)) {
                return;
            }
        }
    }

    /// Whether work that has not started is no longer needed.
    [[nodiscard]] bool stopping() const {
        return m_has_failed.load(std::memory_order_relaxed) ||
               (m_options.cancelled != nullptr && m_options.cancelled->load(std::memory_order_relaxed));
    }

    void release(unit* which) {
        std::scoped_lock const lock(m_mutex);
        m_free.push_back(which);
        m_changed.notify_one();
    }

    void fail(io_error const& why) {
        std::scoped_lock const lock(m_mutex);
        if (!m_failed) {
            m_failed = why;
        }
        m_has_failed.store(true, std::memory_order_relaxed);
        m_changed.notify_one();
    }

    block_device& m_device;
    extent_map const& m_extents;
    hashing_options const& m_options;
    int const m_threads;
    std::int64_t const m_unit;    ///< bytes
    std::int64_t const m_request; ///< bytes
    int m_cached = -1;            ///< descriptor if reads go through the page cache, otherwise -1
    lazy_array<std::byte> const m_memory;
    block_layout const m_layout;
    std::vector<sha1_digest> m_digests; ///< each written by the only worker that hashes its piece
    std::atomic<std::int64_t> m_hashed{0};
    std::atomic<bool> m_has_failed{false}; ///< m_failed is set
    std::chrono::steady_clock::time_point m_next_progress{};
    std::vector<std::unique_ptr<unit>> m_units;
    std::mutex m_mutex; ///< guards the members below
    std::condition_variable m_changed;
    std::vector<unit*> m_free;
    std::vector<unit*> m_read; ///< read and waiting to be hashed, in the order of reading
    std::optional<io_error> m_failed;
    worker_pool m_workers;
    std::unique_ptr<io_queue> m_queue; ///< last, so that its threads end before the members that they use
};

} // namespace

result<std::optional<std::vector<sha1_digest>>, io_error> hash_pieces(block_device& device, extent_map const& extents,
                                                                      hashing_options const& options) {
    return hashing(device, extents, options).run();
}

} // namespace seedbed
