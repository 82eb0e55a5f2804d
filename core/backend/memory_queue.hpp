#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>

#include "core/backend/io_waiter.hpp"

namespace seedbed {

/// Reads for which there is no memory, in the order of arrival. They are retried when memory may have become free: the
/// first one until it succeeds, then the next.
///
/// Threads: every member may be called from any thread.
class memory_queue {
public:
    /// \param first_came is called when a read begins to wait and no other did. From then on retry() must be called
    /// periodically, because not everything that frees a block calls it.
    explicit memory_queue(std::function<void()> first_came)
        : m_first_came(std::move(first_came)) {}

    /// Takes a read, which is retried with its sink's waiter_sink::try_again().
    void wait(io_waiter& waiter);
    /// Memory may have become free. Costs next to nothing if no read waits.
    void retry() {
        if (waiting()) {
            retry_some();
        }
    }
    /// Whether reads wait, which a new one must not overtake.
    [[nodiscard]] bool waiting() const noexcept { return m_count.load(std::memory_order_relaxed) > 0; }
    /// Returns the reads of a sink that are \p wanted, except one that is being retried right now.
    [[nodiscard]] waiter_list take(waiter_sink const& sink, std::function<bool(io_waiter const&)> const& wanted);

private:
    void retry_some();

    std::function<void()> const m_first_came;
    std::atomic<std::ptrdiff_t> m_count{0}; ///< reads that wait or are being retried
    std::mutex m_mutex;                     ///< guards the members below
    waiter_list m_waiting;
    bool m_retrying = false; ///< a thread is in retry_some()
    bool m_again = false;    ///< another thread arrived meanwhile
};

} // namespace seedbed
