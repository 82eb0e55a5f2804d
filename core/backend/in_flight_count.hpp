#pragma once

#include <atomic>
#include <cassert>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <utility>

namespace seedbed {

/// Counts the jobs of a session that a worker or the cache holds, by a token per job, so that the session can wait for
/// the last one.
///
/// Threads: every member may be called from any thread, unless stated otherwise.
class in_flight_count {
public:
    /// Counts for one job, or for several of the same count. Its end may allow the owner of the count to be destroyed:
    /// the thread that ends it must not use the owner afterwards.
    class token {
    public:
        token() noexcept = default;
        token(token&& other) noexcept
            : m_count(other.m_count)
            , m_jobs(std::exchange(other.m_jobs, 0)) {}
        token& operator=(token&& other) noexcept {
            token(std::move(other)).swap(*this);
            return *this;
        }
        ~token() {
            if (m_jobs > 0) {
                m_count->ended(m_jobs);
            }
        }

        [[nodiscard]] explicit operator bool() const noexcept { return m_jobs > 0; }
        /// Takes over the jobs of another token of the same count.
        void join(token other) noexcept {
            assert(m_jobs == 0 || other.m_jobs == 0 || m_count == other.m_count);
            if (other) {
                m_count = other.m_count;
                m_jobs += std::exchange(other.m_jobs, 0);
            }
        }
        /// Ends it without a lock, on the thread that calls wait() and so cannot be waiting.
        void end_on_owner() noexcept {
            if (m_jobs > 0) {
                m_count->m_jobs.fetch_sub(std::exchange(m_jobs, 0), std::memory_order_relaxed);
            }
        }

    private:
        friend class in_flight_count;
        explicit token(in_flight_count& count) noexcept
            : m_count(&count)
            , m_jobs(1) {}
        void swap(token& other) noexcept {
            std::swap(m_count, other.m_count);
            std::swap(m_jobs, other.m_jobs);
        }

        in_flight_count* m_count = nullptr;
        std::int64_t m_jobs = 0;
    };

    [[nodiscard]] token begin() noexcept {
        m_jobs.fetch_add(1, std::memory_order_relaxed);
        return token(*this);
    }
    [[nodiscard]] std::int64_t count() const noexcept { return m_jobs.load(std::memory_order_relaxed); }
    /// Returns when no job is in flight. One thread only.
    void wait() {
        std::unique_lock lock(m_mutex);
        m_none.wait(lock, [this] { return m_jobs.load(std::memory_order_acquire) == 0; });
    }

private:
    void ended(std::int64_t jobs) noexcept {
        // Under the lock: otherwise the waiting thread could destroy this object before the notification.
        std::scoped_lock const lock(m_mutex);
        if (m_jobs.fetch_sub(jobs, std::memory_order_acq_rel) == jobs) {
            m_none.notify_all();
        }
    }

    std::atomic<std::int64_t> m_jobs{0};
    std::mutex m_mutex;
    std::condition_variable m_none;
};

} // namespace seedbed
