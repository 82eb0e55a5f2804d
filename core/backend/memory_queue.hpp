#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <mutex>

#include "core/backend/io_waiter.hpp"

namespace seedbed {

/// Reads for which there is no memory, in the order in which they came. They are tried again when some has come free:
/// the first one as often as it takes, then the next.
///
/// Threads: every member may be called from any thread.
class memory_queue {
public:
    /// \param first_came is called where a read begins to wait and none did: somebody must call retry() now and then,
    /// since not everything that makes room for a block tells so.
    explicit memory_queue(std::function<void()> first_came)
        : m_first_came(std::move(first_came)) {}

    /// Takes a read that waits: its sink is asked to try again by waiter_sink::try_again().
    void wait(io_waiter& waiter);
    /// Memory may have come free. Costs next to nothing where nobody waits for it.
    void retry() {
        if (waiting()) {
            retry_some();
        }
    }
    /// Whether something waits that whoever comes now must not overtake.
    [[nodiscard]] bool waiting() const noexcept { return m_count.load(std::memory_order_relaxed) > 0; }
    /// Gives those of a sink back for which \p wanted; not one that is being tried again at the moment.
    [[nodiscard]] waiter_list take(waiter_sink const& sink, std::function<bool(io_waiter const&)> const& wanted);

private:
    void retry_some();

    std::function<void()> const m_first_came;
    std::atomic<std::ptrdiff_t> m_count{0}; ///< that wait, or are being tried again
    std::mutex m_mutex;                     ///< guards what follows
    waiter_list m_waiting;
    bool m_retrying = false; ///< a thread is in retry_some()
    bool m_again = false;    ///< another one came meanwhile
};

} // namespace seedbed
