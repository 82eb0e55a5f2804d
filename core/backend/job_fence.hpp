#pragma once

#include <cassert>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <utility>

#include "core/foundation/retry_on_bad_alloc.hpp"

namespace seedbed {

/// Orders the jobs of one storage: a fence starts when every job posted before it has ended, runs alone, and every job
/// posted after it starts when it has ended. Jobs between two fences run concurrently.
///
/// Threads: confined to one, the network thread. post() and post_fence() may start the job before they return; a job
/// must not end (see ended()) while it is being started. Waiting jobs are destroyed with the fence; if they own it,
/// drop_blocked() breaks the cycle.
template <class Job>
class job_fence {
public:
    using job_ptr = std::unique_ptr<Job>;

    /// \param start is called with each job when it may run.
    explicit job_fence(std::function<void(job_ptr)> start)
        : m_start(std::move(start)) {}

    /// Starts a job, now or when the fences posted before it have ended.
    void post(job_ptr job) {
        if (m_fence_running || !m_blocked.empty()) {
            block({std::move(job), false});
            return;
        }
        run(std::move(job));
    }

    /// Starts a fence, now or when all earlier jobs have ended.
    void post_fence(job_ptr job) {
        if (m_running > 0 || !m_blocked.empty()) {
            block({std::move(job), true});
            return;
        }
        m_fence_running = true;
        run(std::move(job));
    }

    /// Must be called once for each started job, when it has ended. Starts the jobs that may run now.
    void ended() {
        assert(m_running > 0);
        --m_running;
        m_fence_running = false; // a fence runs alone: if one was running, it has just ended
        while (!m_blocked.empty() && !m_fence_running) {
            auto const fence = m_blocked.front().fence;
            if (fence && m_running > 0) {
                return;
            }
            auto job = std::move(m_blocked.front().job);
            m_blocked.pop_front();
            m_fence_running = fence;
            run(std::move(job));
        }
    }

    /// Destroys the waiting jobs without starting them.
    void drop_blocked() {
        std::deque<entry> dropped;
        dropped.swap(m_blocked); // destroying a job may call back
    }

    [[nodiscard]] std::size_t outstanding() const noexcept { return m_running; } ///< started and not ended
    [[nodiscard]] std::size_t blocked() const noexcept { return m_blocked.size(); }

private:
    struct entry {
        job_ptr job;
        bool fence = false;
    };

    void block(entry waits) {
        retry_on_bad_alloc([this] { m_blocked.emplace_back(); });
        m_blocked.back() = std::move(waits);
    }
    void run(job_ptr job) {
        ++m_running;
        m_start(std::move(job));
    }

    std::function<void(job_ptr)> m_start;
    std::deque<entry> m_blocked; ///< empty, or its first entry is a fence or waits for the running fence
    std::size_t m_running = 0;
    bool m_fence_running = false;
};

} // namespace seedbed
