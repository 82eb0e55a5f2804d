#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace seedbed {

/// Brings ended jobs back to one thread in batches: however many end while that thread is busy, it is woken once for
/// all of them.
///
/// Threads: push() from any; take() on the consumer's.
template <class Job>
class completion_queue {
public:
    /// \param wake tells the consumer that there is something to take(); called from the pushing thread, without a
    /// lock.
    explicit completion_queue(std::function<void()> wake)
        : m_wake(std::move(wake)) {}

    void push(std::unique_ptr<Job> job) {
        {
            std::scoped_lock const lock(m_mutex);
            m_jobs.push_back(std::move(job));
            if (m_jobs.size() > 1) {
                return; // woken already and not yet taken
            }
        }
        m_wake();
    }

    /// Takes all ended jobs, in the order in which they ended, in exchange for the empty \p reuse, whose memory is used
    /// next.
    [[nodiscard]] std::vector<std::unique_ptr<Job>> take(std::vector<std::unique_ptr<Job>> reuse) {
        std::scoped_lock const lock(m_mutex);
        return std::exchange(m_jobs, std::move(reuse));
    }

private:
    std::function<void()> m_wake;
    std::mutex m_mutex;
    std::vector<std::unique_ptr<Job>> m_jobs;
};

} // namespace seedbed
