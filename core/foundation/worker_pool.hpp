#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>

namespace seedbed {

/// Threads that take jobs from one queue, first in, first out.
///
/// Every submitted job runs exactly once, even if the number of threads changes or the pool is destroyed: the
/// destructor returns after the last job. Jobs start in the order of submission; with more than one thread they may end
/// in a different order. A job must not throw, and must not wait for a later job of the same pool.
///
/// If the system refuses to create threads (a task limit), the pool runs with fewer.
///
/// Threads: every member may be called from any thread; the destructor not from a thread of the pool.
class worker_pool {
public:
    using job = std::function<void()>;

    /// \param name of the threads, as shown by ps and perf; only the first 15 bytes are used.
    /// \param threads at least 1. Throws std::system_error or std::bad_alloc if not a single thread can be created.
    worker_pool(std::string name, int threads);
    worker_pool(worker_pool const&) = delete;
    worker_pool& operator=(worker_pool const&) = delete;
    ~worker_pool();

    /// Appends a job and returns without waiting for it. Throws std::bad_alloc, without appending the job, if there is
    /// no memory.
    void submit(job work);

    /// Changes the number of threads. Returns at once: surplus threads end after their current job.
    void set_threads(int threads);
    /// The number last set, whether or not the system allowed that many.
    [[nodiscard]] int threads() const;

    /// To be called by a job before a long wait: adds a thread, if the system allows it, until return_thread().
    void lend_thread();
    void return_thread();

    /// Lets a watchdog distinguish a slow pool from a hung one.
    struct progress {
        std::uint64_t completed = 0; ///< jobs that have ended since the start
        std::size_t pending = 0;     ///< jobs waiting or running
        /// The start of the current period in which jobs were pending but none ended; the current time if nothing is
        /// pending.
        std::chrono::steady_clock::time_point stalled_since{};
    };
    [[nodiscard]] progress current_progress() const;

private:
    void run(std::list<std::thread>::iterator self);
    void adjust_threads_locked();
    [[nodiscard]] int most_locked() const noexcept { return m_wanted + m_lent; }

    std::string m_name;
    mutable std::mutex m_mutex;
    std::condition_variable m_work;
    std::condition_variable m_ended; ///< a thread has left run()
    std::deque<job> m_jobs;
    std::list<std::thread> m_threads;  ///< threads that run
    std::list<std::thread> m_finished; ///< threads that have left run() and must be joined
    int m_wanted = 0;
    int m_lent = 0; ///< additional threads: calls of lend_thread() without a return_thread() yet
    int m_live = 0;
    std::size_t m_running = 0;
    std::uint64_t m_completed = 0;
    std::chrono::steady_clock::time_point m_last_progress{};
    bool m_stop = false;
};

} // namespace seedbed
