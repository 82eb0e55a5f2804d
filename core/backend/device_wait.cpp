#include "core/backend/device_wait.hpp"

#include <utility>

namespace seedbed {

bool device_wait::park(io_waiter& job) {
    if (m_waiting_long.load(std::memory_order_relaxed) == 0) {
        return false;
    }
    std::scoped_lock const lock(m_mutex);
    if (m_waiting_long.load(std::memory_order_relaxed) == 0) {
        return false;
    }
    m_parked.push(&job);
    return true;
}

void device_wait::begin_long_wait() noexcept {
    {
        std::scoped_lock const lock(m_mutex);
        m_waiting_long.fetch_add(1, std::memory_order_relaxed);
    }
    m_workers.lend_thread();
}

void device_wait::end_long_wait() noexcept {
    m_workers.return_thread();
    waiter_list parked;
    {
        std::scoped_lock const lock(m_mutex);
        if (m_waiting_long.fetch_sub(1, std::memory_order_relaxed) == 1) {
            parked = std::exchange(m_parked, {});
        }
    }
    while (!parked.empty()) {
        auto* const job = static_cast<io_waiter*>(parked.pop());
        static_cast<void>(job->sink->try_again(*job));
    }
}

} // namespace seedbed
