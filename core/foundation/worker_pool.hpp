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

/// Threads that take jobs from one queue, first in first out.
///
/// Every job that was submitted runs exactly once, also when the number of threads changes or the pool is destroyed:
/// the destructor returns after the last job. Jobs start in the order of submission; with more than one thread they may
/// end in another. A job must not throw, and must not wait for a later job of the same pool.
///
/// Where the system refuses threads (a limit on tasks), the pool works with those it has: fewer are slower, not wrong.
///
/// Threads: every member may be called from any thread; the destructor from none of its own.
class worker_pool {
public:
    using job = std::function<void()>;

    /// \param name of the threads, as ps and perf show them; at most 15 bytes are used.
    /// \param threads at least 1.
    /// Throws std::system_error or std::bad_alloc where the system does not give a single one.
    worker_pool(std::string name, int threads);
    worker_pool(worker_pool const&) = delete;
    worker_pool& operator=(worker_pool const&) = delete;
    ~worker_pool();

    /// Appends a job. Never waits for one to run. Throws std::bad_alloc where there is no memory for it: nothing was
    /// appended then.
    void submit(job work);

    /// Changes the number of threads. Returns at once: threads that are too many end after their present job.
    void set_threads(int threads);
    /// As asked for last.
    [[nodiscard]] int threads() const;

    /// A job is about to wait for long: until return_thread() there is one thread more, if the system gives it.
    void lend_thread();
    void return_thread();

    /// What a watchdog needs to tell a slow pool from one that hangs.
    struct progress {
        std::uint64_t completed = 0; ///< jobs that have ended since the start
        std::size_t pending = 0;     ///< jobs waiting or running
        /// Since when nothing has ended although something was pending; now, where nothing is pending.
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
    std::list<std::thread> m_finished; ///< threads that have left run() and want joining
    int m_wanted = 0;
    int m_lent = 0; ///< threads beyond these
    int m_live = 0;
    std::size_t m_running = 0;
    std::uint64_t m_completed = 0;
    std::chrono::steady_clock::time_point m_last_progress{};
    bool m_stop = false;
};

} // namespace seedbed
