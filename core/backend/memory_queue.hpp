#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>

#include "core/backend/io_waiter.hpp"

namespace seedbed {

/// Reads for which there is no memory, in the order in which they came. They are retried when memory has come free: the
/// first one as often as it takes, then the next.
///
/// Threads: every member may be called from any thread.
class memory_queue {
public:
    /// \param first_came is called when a read begins to wait and none did: retry() must be called now and then from
    /// then on, since not everything that makes room for a block calls it.
    explicit memory_queue(std::function<void()> first_came)
        : m_first_came(std::move(first_came)) {}

    /// Takes a read, which is retried by its sink's waiter_sink::try_again().
    void wait(io_waiter& waiter);
    /// Memory may have come free. Costs next to nothing while no read waits.
    void retry() {
        if (waiting()) {
            retry_some();
        }
    }
    /// Whether reads wait, which a new one must not overtake.
    [[nodiscard]] bool waiting() const noexcept { return m_count.load(std::memory_order_relaxed) > 0; }
    /// Gives back the reads of a sink that are \p wanted, but for one that is being retried at the moment.
    [[nodiscard]] waiter_list take(waiter_sink const& sink, std::function<bool(io_waiter const&)> const& wanted);

private:
    void retry_some();

    std::function<void()> const m_first_came;
    std::atomic<std::ptrdiff_t> m_count{0}; ///< reads that wait, or are being retried
    std::mutex m_mutex;                     ///< guards what follows
    waiter_list m_waiting;
    bool m_retrying = false; ///< a thread is in retry_some()
    bool m_again = false;    ///< another one came meanwhile
};

} // namespace seedbed
