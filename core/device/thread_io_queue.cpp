#include <mutex>

#include "core/device/io_queue.hpp"

namespace seedbed {

void io_order::push(io_job* job) {
    if (m_by_position) {
        m_by_offset.emplace(job->position(), job);
    } else {
        m_queue.push_back(job);
    }
}

io_job* io_order::pop() {
    if (!m_queue.empty()) {
        auto* const job = m_queue.front();
        m_queue.pop_front();
        return job;
    }
    if (m_by_offset.empty()) {
        return nullptr;
    }
    auto next = m_by_offset.lower_bound(m_head);
    if (next == m_by_offset.end()) {
        next = m_by_offset.begin();
    }
    m_head = next->first;
    auto* const job = next->second;
    m_by_offset.erase(next);
    return job;
}

namespace {

class thread_io_queue final : public io_queue {
public:
    thread_io_queue(block_device& device, io_profile const& profile)
        : m_device(device)
        , m_one_writer(device.raw() && device.raw()->one_writer)
        , m_order(profile.elevator)
        , m_writes(profile.elevator)
        , m_workers("disk", profile.threads) {}

    void submit(io_job* job) override {
        {
            std::scoped_lock const lock(m_mutex);
            (m_one_writer && job->way() == io_job::direction::write ? m_writes : m_order).push(job);
        }
        m_workers.submit([this] { run_next(); });
    }

    void set_profile(io_profile const& profile) override {
        m_workers.set_threads(profile.threads);
        std::scoped_lock const lock(m_mutex);
        m_order.set_by_position(profile.elevator);
        m_writes.set_by_position(profile.elevator);
    }

    [[nodiscard]] worker_pool::progress current_progress() const override { return m_workers.current_progress(); }
    [[nodiscard]] char const* engine() const noexcept override { return "threads"; }

private:
    /// Runs a job. There is one call for each; a call that finds nothing but writes, while the only writer is busy,
    /// leaves its own to him.
    void run_next() {
        io_job* job = nullptr;
        {
            std::scoped_lock const lock(m_mutex);
            job = take_locked();
            if (job == nullptr) {
                ++m_left;
                return;
            }
        }
        bool const was_writer = m_one_writer && job->way() == io_job::direction::write;
        run(*job);
        if (!was_writer) {
            return;
        }
        {
            std::scoped_lock const lock(m_mutex);
            m_writing = false;
            if (m_left == 0) {
                return;
            }
            --m_left;
        }
        m_workers.submit([this] { run_next(); });
    }

    [[nodiscard]] io_job* take_locked() {
        bool const may_write = !m_writing && !m_writes.empty();
        if (may_write && (m_order.empty() || !m_wrote_last)) {
            m_writing = true;
            m_wrote_last = true;
            return m_writes.pop();
        }
        m_wrote_last = false;
        return m_order.pop();
    }

    void run(io_job& job) {
        job.prepare();
        result<void, io_error> outcome;
        for (auto const& segment : job.segments()) {
            auto const memory = job.memory_of(segment);
            outcome = job.way() == io_job::direction::read ? m_device.read(segment.offset, memory)
                                                           : m_device.write(segment.offset, memory);
            if (!outcome) {
                break;
            }
        }
        job.end(outcome);
    }

    block_device& m_device;
    bool const m_one_writer;
    std::mutex m_mutex;        ///< guards what follows
    io_order m_order;          ///< all jobs, or all but writes where there is one writer
    io_order m_writes;         ///< where there is one writer
    bool m_writing = false;    ///< he is busy
    bool m_wrote_last = false; ///< the last job taken was a write: a read that waits is next
    std::size_t m_left = 0;    ///< jobs that wait for the writer and have no call of their own any more
    worker_pool m_workers;     ///< last: its threads end before what they use goes
};

} // namespace

std::unique_ptr<io_queue> make_thread_io_queue(block_device& device, io_profile const& profile) {
    return std::make_unique<thread_io_queue>(device, profile);
}

} // namespace seedbed
