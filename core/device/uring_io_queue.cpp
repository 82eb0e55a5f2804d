#include <algorithm>
#include <cerrno>
#include <chrono>
#include <forward_list>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "core/device/uring_io_queue.hpp"
#include "core/foundation/linked_queue.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

/// A part of a job that is one request in the ring. It has its own copy of the memory ranges, because a short transfer
/// shortens them.
struct request {
    struct running_job* owner = nullptr;
    int fd = -1;
    bool write_back = false; ///< starts write-back and transfers nothing
    std::int64_t offset = 0;
    std::int64_t left = 0; ///< bytes
    std::vector<iovec> memory;
    std::size_t first = 0;   ///< index of the first remaining memory range
    request* next = nullptr; ///< in its list
};

/// A job whose requests are in the ring.
struct running_job {
    io_job* job = nullptr;
    int left = 0; ///< requests that have not ended yet
    std::int64_t through_cache = 0;
    result<void, io_error> outcome;
    running_job* next = nullptr; ///< in its list
};

constexpr std::size_t most_pieces = 1024; // IOV_MAX on Linux
constexpr int ring_entries = io_profile_limits::max_queue_depth;
constexpr int most_in_ring = ring_entries - 1; // one entry is reserved for the event

/// The ring's thread makes only calls that cannot block; kernel threads wait for system calls on the device.
///
/// If the ring itself breaks down, each job still ends. Requests that the kernel had not taken fail. Those it had taken
/// are awaited, because it may write to their memory until then. Later jobs fail at once.
class uring_io_queue final : public io_queue {
public:
    uring_io_queue(block_device& device, raw_device const& raw, io_profile const& profile, std::span<std::byte> memory)
        : m_device(device)
        , m_raw(raw)
        , m_depth(profile.queue_depth)
        , m_order(profile.elevator)
        , m_registered(memory) {}

    ~uring_io_queue() override {
        if (m_thread.joinable()) {
            {
                std::scoped_lock const lock(m_mutex);
                m_stop = true;
            }
            wake();
            m_thread.join();
        }
        if (m_ring_open) {
            ::io_uring_queue_exit(&m_ring);
        }
    }

    /// Sets up the ring. \return 0, or errno if the kernel refuses a ring.
    int open() {
        if (int const code = ::io_uring_queue_init(ring_entries, &m_ring, 0); code < 0) {
            return -code;
        }
        m_ring_open = true;
        m_event.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
        if (!m_event) {
            return errno;
        }
        register_memory();
        m_ended.reserve(std::size_t{2} * ring_entries); // as many completions as the ring has room for
        if (!grow()) {
            return ENOMEM;
        }
        try {
            m_thread = std::thread([this] { run(); });
        } catch (std::system_error const& refused) {
            return refused.code().value();
        }
        static_cast<void>(pthread_setname_np(m_thread.native_handle(), "ring"));
        return 0;
    }

    void submit(io_job* job) override {
        bool asleep = false;
        {
            std::scoped_lock const lock(m_mutex);
            if (m_pending++ == 0) {
                m_last_progress = std::chrono::steady_clock::now();
            }
            m_order.push(job);
            asleep = std::exchange(m_asleep, false);
        }
        if (asleep) {
            wake();
        }
    }

    void set_profile(io_profile const& profile) override {
        std::scoped_lock const lock(m_mutex);
        m_depth = profile.queue_depth;
        m_order.set_by_position(profile.elevator);
    }

    [[nodiscard]] worker_pool::progress current_progress() const override {
        std::scoped_lock const lock(m_mutex);
        return {m_completed, m_pending, m_pending == 0 ? std::chrono::steady_clock::now() : m_last_progress};
    }

    [[nodiscard]] char const* engine() const noexcept override { return "io_uring"; }
    [[nodiscard]] int memory_refused() const noexcept override { return m_memory_refused; }

private:
    void wake() {
        // EAGAIN: the counter is full, so the ring's thread wakes anyway.
        static_cast<void>(::eventfd_write(m_event.get(), 1));
    }

    /// Pins the pool's memory, so that the kernel need not look up its pages for each transfer. If the limit on locked
    /// memory is too low, the ring works without it.
    void register_memory() {
        constexpr std::size_t largest = std::size_t{1} << 30; // the kernel's limit for one buffer
        std::vector<iovec> buffers;
        for (std::size_t at = 0; at < m_registered.size(); at += largest) {
            buffers.push_back({m_registered.data() + at, std::min(largest, m_registered.size() - at)});
        }
        if (buffers.empty()) {
            return;
        }
        m_memory_refused = -::io_uring_register_buffers(&m_ring, buffers.data(), static_cast<unsigned>(buffers.size()));
        if (m_memory_refused != 0) {
            m_registered = {};
        }
    }

    void run() {
        arm_event();
        for (;;) {
            while (start_next()) {
            }
            bool const idle = m_in_flight == 0;
            if (idle) {
                m_most_jobs = ring_entries; // memory may be available again
            }
            {
                std::scoped_lock const lock(m_mutex);
                if (!m_order.empty() && m_in_flight < std::min(m_depth, m_most_jobs)) {
                    continue;
                }
                if (m_stop && idle && m_order.empty()) {
                    return;
                }
                m_asleep = true;
            }
            if (m_broken != 0) {
                await(m_event.get());
                drain_event();
                continue;
            }
            // One system call submits all queued requests and waits for the first completion, or for wake().
            int const code = ::io_uring_submit_and_wait(&m_ring, 1);
            if (code < 0 && code != -EINTR && code != -EAGAIN && code != -EBUSY) {
                break_down(-code);
                continue;
            }
            reap();
        }
    }

    /// The next job if the ring has room for one; null otherwise.
    io_job* take() {
        std::scoped_lock const lock(m_mutex);
        return m_in_flight < std::min(m_depth, m_most_jobs) ? m_order.pop() : nullptr;
    }

    bool start_next() {
        if (m_free_jobs.empty() && !grow()) {
            m_most_jobs = m_in_flight; // at least one, see open()
        }
        auto* const job = take();
        if (job == nullptr) {
            return false;
        }
        auto& running = m_free_jobs.pop();
        running.job = job;
        running.through_cache = 0;
        running.outcome = {};
        running.left = 1; // held until all its requests are queued
        ++m_in_flight;
        try {
            job->prepare(); // even if the job can only fail: its end() may release something
            start_parts(running);
        } catch (std::bad_alloc const&) {
            running.outcome = failure(running, job->position(), 0, ENOMEM);
        }
        finish_one(running);
        return true;
    }

    void start_parts(running_job& running) {
        auto const& job = *running.job;
        bool const writes = job.way() == io_job::direction::write;
        for (auto const& segment : job.segments()) {
            int const code = m_broken != 0 ? m_broken : m_raw.refuse(writes, segment.offset, segment.length);
            if (code != 0) {
                running.outcome = failure(running, device_offset{segment.offset}, segment.length, code);
                return;
            }
            if (auto allowed = writes ? m_device.will_write(segment.offset, segment.length) : result<void, io_error>();
                !allowed) {
                running.outcome = std::move(allowed);
                return;
            }
            start_segment(running, segment, job.memory_of(segment));
        }
    }

    void start_segment(running_job& running, io_job::segment const& segment, std::span<iovec const> memory) {
        auto const end = segment.offset + segment.length;
        auto const kept = m_device.part_in_memory(segment.offset, segment.length);
        if (kept.length == 0) {
            start_range(running, segment.offset, segment.length, memory);
            return;
        }
        // Rare: some of it is copied, the rest goes through the ring.
        std::vector<iovec> part(memory.size());
        memory_cursor cursor(memory);
        auto const take = [&](std::int64_t length) {
            auto const taken = std::span(part).first(cursor.peek(length, part));
            cursor.skip(length);
            return taken;
        };
        for (auto at = segment.offset; at < end;) {
            auto const next = m_device.part_in_memory(at, end - at);
            auto const before = next.length > 0 ? next.offset - at : end - at;
            if (before > 0) {
                start_range(running, at, before, take(before));
            }
            if (next.length > 0) {
                copy(running, next, take(next.length));
            }
            at += before + next.length;
        }
    }

    void start_range(running_job& running, std::int64_t offset, std::int64_t length, std::span<iovec const> memory) {
        for (auto const& part : plan_transfer(m_raw.rules, offset, length, memory)) {
            start_part(running, memory, part);
        }
    }

    void copy(running_job& running, device_range const& range, std::span<iovec const> memory) {
        auto const reads = running.job->way() == io_job::direction::read;
        auto copied = reads ? m_device.read(range.offset, memory) : m_device.write(range.offset, memory);
        if (!copied && running.outcome) {
            running.outcome = std::move(copied);
        }
    }

    void start_part(running_job& running, std::span<iovec const> memory, transfer_part const& part) {
        memory_cursor cursor(memory);
        cursor.skip(part.skip);
        auto left = part.length;
        auto offset = part.offset;
        while (left > 0) {
            auto& wanted = peek_request();
            wanted.memory.resize(std::min(memory.size(), most_pieces));
            wanted.memory.resize(cursor.peek(left, wanted.memory));
            auto const bytes = length_of(wanted.memory);
            static_cast<void>(m_free_requests.pop()); // the request peeked above; nothing can fail after this
            wanted.owner = &running;
            wanted.fd = part.direct ? m_raw.direct : m_raw.cached;
            wanted.write_back = false;
            wanted.offset = offset;
            wanted.left = bytes;
            wanted.first = 0;
            if (!part.direct) {
                running.through_cache += bytes;
            }
            ++running.left;
            enqueue(wanted);
            cursor.skip(bytes);
            offset += bytes;
            left -= bytes;
        }
    }

    /// Puts a request into the ring, or queues it if the ring is full. The ring never holds more requests than it has
    /// entries, so that an entry is always available and all completions have room.
    void enqueue(request& wanted) {
        if (m_broken != 0) {
            fail(wanted, m_broken);
            return;
        }
        if (m_in_ring == most_in_ring) {
            m_waiting.push(wanted);
            return;
        }
        ++m_in_ring;
        auto* const sqe = ::io_uring_get_sqe(&m_ring);
        if (wanted.write_back) {
            ::io_uring_prep_sync_file_range(sqe, wanted.fd, 0, 0, static_cast<int>(block_device::write_back_flags));
            ::io_uring_sqe_set_data(sqe, &wanted);
            return;
        }
        auto const pieces = std::span(wanted.memory).subspan(wanted.first);
        auto const at = static_cast<std::uint64_t>(wanted.offset);
        bool const reads = wanted.owner->job->way() == io_job::direction::read;
        if (int const buffer = registered_buffer(pieces); buffer >= 0) {
            auto const length = static_cast<unsigned>(pieces.front().iov_len);
            if (reads) {
                ::io_uring_prep_read_fixed(sqe, wanted.fd, pieces.front().iov_base, length, at, buffer);
            } else {
                ::io_uring_prep_write_fixed(sqe, wanted.fd, pieces.front().iov_base, length, at, buffer);
            }
        } else if (reads) {
            ::io_uring_prep_readv(sqe, wanted.fd, pieces.data(), static_cast<unsigned>(pieces.size()), at);
        } else {
            ::io_uring_prep_writev(sqe, wanted.fd, pieces.data(), static_cast<unsigned>(pieces.size()), at);
        }
        ::io_uring_sqe_set_data(sqe, &wanted);
    }

    /// The registered buffer that contains a single memory range completely, or -1.
    [[nodiscard]] int registered_buffer(std::span<iovec const> pieces) const {
        if (pieces.size() != 1 || m_registered.empty()) {
            return -1;
        }
        auto const begin = static_cast<std::byte const*>(pieces.front().iov_base) - m_registered.data();
        auto const end = begin + static_cast<std::ptrdiff_t>(pieces.front().iov_len);
        if (begin < 0 || end > static_cast<std::ptrdiff_t>(m_registered.size()) || begin >> 30 != (end - 1) >> 30) {
            return -1;
        }
        return static_cast<int>(begin >> 30);
    }

    void reap() {
        unsigned head = 0;
        unsigned count = 0;
        io_uring_cqe* cqe = nullptr;
        m_ended.clear();
        io_uring_for_each_cqe(&m_ring, head, cqe) {
            m_ended.push_back({static_cast<request*>(::io_uring_cqe_get_data(cqe)), cqe->res});
            ++count;
        }
        ::io_uring_cq_advance(&m_ring, count);
        for (auto const& [ended, outcome] : m_ended) {
            if (ended == nullptr) {
                drain_event();
                if (m_broken == 0) {
                    arm_event();
                }
            } else {
                --m_in_ring;
                on_ended(*ended, outcome);
            }
        }
        while (!m_waiting.empty() && m_in_ring < most_in_ring) {
            enqueue(m_waiting.pop());
        }
    }

    void on_ended(request& ended, int outcome) {
        auto& running = *ended.owner;
        if (outcome == -EINTR || outcome == -EAGAIN) {
            enqueue(ended);
            return;
        }
        if (ended.write_back) {
            running.outcome = m_device.wrote_back(ended.left, outcome < 0 ? -outcome : 0);
            m_free_requests.push(ended);
            finish_one(running);
            return;
        }
        if (outcome > 0 && outcome < ended.left) {
            // Short: request the rest.
            ended.offset += outcome;
            ended.left -= outcome;
            auto eaten = static_cast<std::size_t>(outcome);
            while (eaten >= ended.memory[ended.first].iov_len) {
                eaten -= ended.memory[ended.first++].iov_len;
            }
            auto& piece = ended.memory[ended.first];
            piece.iov_base = static_cast<std::byte*>(piece.iov_base) + eaten;
            piece.iov_len -= eaten;
            enqueue(ended);
            return;
        }
        if (outcome <= 0) {
            fail(ended, outcome == 0 ? EIO : -outcome); // no progress: the end of the device
            return;
        }
        m_free_requests.push(ended);
        finish_one(running);
    }

    /// Ends a request that is not, or no longer, in the ring, with an error.
    void fail(request& failed, int code) {
        auto& running = *failed.owner;
        if (running.outcome) {
            running.outcome = failure(running, device_offset{failed.offset}, failed.left, code);
        }
        m_free_requests.push(failed);
        finish_one(running);
    }

    void finish_one(running_job& running) {
        if (--running.left > 0) {
            return;
        }
        if (running.outcome && running.job->way() == io_job::direction::write && running.through_cache > 0) {
            auto const bytes = std::exchange(running.through_cache, 0);
            if (m_device.wrote_through_cache(bytes) && start_write_back(running, bytes)) {
                return; // the job ends when that request does
            }
        }
        {
            // Before end(), so that a thread that learns of the end does not find the job still counted.
            std::scoped_lock const lock(m_mutex);
            --m_pending;
            ++m_completed;
            m_last_progress = std::chrono::steady_clock::now();
        }
        running.job->end(running.outcome);
        m_free_jobs.push(running);
        --m_in_flight;
    }

    /// Returns false on failure: the kernel then writes back at its own pace until the next attempt.
    bool start_write_back(running_job& running, std::int64_t bytes) {
        if (m_broken != 0 || (m_free_requests.empty() && !grow())) {
            return false;
        }
        auto& wanted = m_free_requests.pop();
        wanted.owner = &running;
        wanted.fd = m_raw.write_back;
        wanted.write_back = true;
        wanted.offset = 0;
        wanted.left = bytes;
        running.left = 1;
        enqueue(wanted);
        return true;
    }

    /// The ring itself has broken down. Requests that the kernel has taken still complete, which it reports in shared
    /// memory even if it can no longer be called.
    void break_down(int code) {
        m_broken = code;
        auto const& queue = m_ring.sq;
        for (auto at = queue.sqe_tail - ::io_uring_sq_ready(&m_ring); at != queue.sqe_tail; ++at) {
            // The ring stores pointers as numbers. NOLINTNEXTLINE(performance-no-int-to-ptr)
            auto* const never_taken = reinterpret_cast<request*>(queue.sqes[at & queue.ring_mask].user_data);
            if (never_taken != nullptr) {
                --m_in_ring;
                fail(*never_taken, code);
            }
        }
        while (!m_waiting.empty()) {
            fail(m_waiting.pop(), code);
        }
        while (m_in_ring > 0) {
            await(m_ring.ring_fd);
            reap();
        }
    }

    /// Waits until a descriptor is readable, or briefly if poll(2) fails.
    static void await(int fd) {
        pollfd readable{fd, POLLIN, 0};
        if (::poll(&readable, 1, -1) != 1 || (readable.revents & POLLIN) == 0) {
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }

    [[nodiscard]] tl::unexpected<io_error> failure(running_job const& of, device_offset offset, std::int64_t length,
                                                   int code) const noexcept {
        auto const way = of.job->way() == io_job::direction::read ? io_operation::read : io_operation::write;
        return tl::make_unexpected(make_io_error(way, m_device.path(), offset, length, code));
    }

    void arm_event() {
        auto* const sqe = ::io_uring_get_sqe(&m_ring);
        ::io_uring_prep_poll_add(sqe, m_event.get(), POLLIN);
        ::io_uring_sqe_set_data(sqe, nullptr);
    }

    void drain_event() {
        ::eventfd_t count = 0;
        static_cast<void>(::eventfd_read(m_event.get(), &count)); // EAGAIN: already drained
    }

    /// A free request, which remains free until it is popped.
    request& peek_request() {
        if (m_free_requests.empty() && !grow()) {
            throw std::bad_alloc();
        }
        return m_free_requests.front();
    }

    /// Makes room for one more concurrent job and request. \return false if there is no memory.
    [[nodiscard]] bool grow() noexcept {
        try {
            m_jobs.emplace_front();
            m_requests.emplace_front();
        } catch (std::bad_alloc const&) {
            return false;
        }
        m_free_jobs.push(m_jobs.front());
        m_free_requests.push(m_requests.front());
        return true;
    }

    struct ended_request {
        request* which;
        int outcome;
    };

    block_device& m_device;
    raw_device const m_raw;
    int m_memory_refused = 0; ///< set by open()

    mutable std::mutex m_mutex; ///< guards the next six members
    int m_depth;
    io_order m_order;
    bool m_asleep = false; ///< the ring's thread is about to wait: call wake()
    bool m_stop = false;
    std::size_t m_pending = 0;
    std::uint64_t m_completed = 0;
    std::chrono::steady_clock::time_point m_last_progress{};

    // Once the ring's thread runs, only it uses the members below.
    std::span<std::byte> m_registered;
    io_uring m_ring{};
    bool m_ring_open = false;
    unique_fd m_event;
    int m_broken = 0;                      ///< errno of the call after which the ring is no longer used
    int m_most_jobs = ring_entries;        ///< fewer while memory is short
    int m_in_flight = 0;                   ///< jobs
    int m_in_ring = 0;                     ///< requests
    linked_queue<request> m_waiting;       ///< requests that wait for room in the ring
    std::forward_list<request> m_requests; ///< the memory of all requests
    linked_queue<request> m_free_requests;
    std::forward_list<running_job> m_jobs; ///< the memory of all jobs
    linked_queue<running_job> m_free_jobs;
    std::vector<ended_request> m_ended;
    std::thread m_thread;
};

} // namespace

bool wants_ring(block_device const& device, io_profile const& profile) noexcept {
    if (profile.io_engine != io_engine_kind::automatic) {
        return profile.io_engine == io_engine_kind::io_uring;
    }
    auto const raw = device.raw();
    return raw && raw->direct >= 0;
}

result<std::unique_ptr<io_queue>, int> make_uring_io_queue(block_device& device, io_profile const& profile,
                                                           std::span<std::byte> memory) {
    auto const raw = device.raw();
    if (!raw) {
        return tl::unexpected(EOPNOTSUPP);
    }
    auto queue = std::make_unique<uring_io_queue>(device, *raw, profile, memory);
    if (int const code = queue->open(); code != 0) {
        return tl::unexpected(code);
    }
    return queue;
}

} // namespace seedbed
