#include <cerrno>
#include <mutex>
#include <new>
#include <utility>

#include "core/device/io_queue.hpp"

namespace seedbed {

void io_order::push(io_job* job) noexcept {
    if (m_by_position) {
        try {
            m_by_offset.emplace(job->position(), job);
            return;
        } catch (std::bad_alloc const&) {
            // fall back to the order of arrival
        }
    }
    job->m_behind = nullptr;
    (m_first == nullptr ? m_first : m_last->m_behind) = job;
    m_last = job;
}

io_job* io_order::pop() noexcept {
    if (m_first != nullptr) {
        return std::exchange(m_first, m_first->m_behind);
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
        // Under the lock, so that the call finds the job. The call comes first, because submitting it can fail.
        std::scoped_lock const lock(m_mutex);
        m_workers.submit([this] { run_next(); });
        (m_one_writer && job->way() == io_job::direction::write ? m_writes : m_order).push(job);
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
    /// Runs a job. Each job has one call; a call that finds only writes while the one writer is busy leaves its job to
    /// that writer.
    void run_next() {
        for (bool again = true; again;) {
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
            again = was_writer && has_left_one();
        }
    }

    /// Ends the writer's turn. \return whether a job left without a call is waiting.
    [[nodiscard]] bool has_left_one() {
        std::scoped_lock const lock(m_mutex);
        m_writing = false;
        if (m_left == 0) {
            return false;
        }
        --m_left;
        return true;
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
        result<void, io_error> outcome;
        bool const reads = job.way() == io_job::direction::read;
        try {
            job.prepare();
            for (auto const& segment : job.segments()) {
                auto const memory = job.memory_of(segment);
                outcome = reads ? m_device.read(segment.offset, memory) : m_device.write(segment.offset, memory);
                if (!outcome) {
                    break;
                }
            }
        } catch (std::bad_alloc const&) {
            outcome = tl::unexpected(make_io_error(reads ? io_operation::read : io_operation::write, m_device.path(),
                                                   job.position(), 0, ENOMEM));
        }
        job.end(outcome);
    }

    block_device& m_device;
    bool const m_one_writer;
    std::mutex m_mutex;        ///< guards the members below
    io_order m_order;          ///< all jobs, or all except writes if the device has one writer
    io_order m_writes;         ///< if the device has one writer
    bool m_writing = false;    ///< the writer is busy
    bool m_wrote_last = false; ///< the job taken last was a write: a waiting read is next
    std::size_t m_left = 0;    ///< waiting writes that were left to the writer
    worker_pool m_workers;     ///< last, so that its threads end before the members that they use
};

} // namespace

std::unique_ptr<io_queue> make_thread_io_queue(block_device& device, io_profile const& profile) {
    return std::make_unique<thread_io_queue>(device, profile);
}

} // namespace seedbed
