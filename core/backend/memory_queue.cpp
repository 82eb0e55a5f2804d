#include "core/backend/memory_queue.hpp"

#include <utility>

namespace seedbed {

void memory_queue::wait(io_waiter& waiter) {
    {
        std::scoped_lock const lock(m_mutex);
        m_waiting.push(&waiter);
        if (m_count.fetch_add(1, std::memory_order_relaxed) > 0) {
            return;
        }
    }
    m_first_came();
}

void memory_queue::retry_some() {
    std::unique_lock lock(m_mutex);
    if (m_retrying) {
        m_again = true;
        return;
    }
    m_retrying = true;
    do {
        m_again = false;
        while (!m_waiting.empty()) {
            auto* const first = static_cast<io_waiter*>(m_waiting.pop());
            lock.unlock();
            bool const served = first->sink->try_again(*first); // if served, no longer ours
            lock.lock();
            if (!served) {
                m_waiting.push_front(first);
                break;
            }
            m_count.fetch_sub(1, std::memory_order_relaxed);
        }
    } while (std::exchange(m_again, false) && !m_waiting.empty());
    m_retrying = false;
}

waiter_list memory_queue::take(waiter_sink const& sink, std::function<bool(io_waiter const&)> const& wanted) {
    waiter_list taken;
    waiter_list left;
    std::scoped_lock const lock(m_mutex);
    while (!m_waiting.empty()) {
        auto* const waiter = static_cast<io_waiter*>(m_waiting.pop());
        if (waiter->sink == &sink && wanted(*waiter)) {
            taken.push(waiter);
            m_count.fetch_sub(1, std::memory_order_relaxed);
        } else {
            left.push(waiter);
        }
    }
    m_waiting = left;
    return taken;
}

} // namespace seedbed
