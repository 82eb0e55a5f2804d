#pragma once

#include <functional>
#include <mutex>
#include <utility>

#include "core/cache/piece_cache.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"

namespace seedbed {

/// Returns ended jobs to one thread in batches: however many end while that thread is busy, it is woken only once.
/// Allocates nothing, because jobs are linked through themselves.
///
/// Threads: push() from any; take() on the consumer's thread.
class completion_queue {
public:
    /// \param wake makes the consumer call take(); called on the pushing thread, without a lock. If it throws
    /// std::bad_alloc, it must have had no effect, and is called again.
    explicit completion_queue(std::function<void()> wake)
        : m_wake(std::move(wake)) {}

    void push(waiter_list ended) noexcept {
        if (ended.empty()) {
            return;
        }
        {
            std::scoped_lock const lock(m_mutex);
            bool const woken = !m_ended.empty();
            m_ended.append(ended);
            if (woken) {
                return; // earlier jobs have not been taken yet
            }
        }
        retry_on_bad_alloc(m_wake); // later pushes rely on this call
    }

    /// Takes all ended jobs, in the order of push().
    [[nodiscard]] waiter_list take() {
        std::scoped_lock const lock(m_mutex);
        return std::exchange(m_ended, {});
    }

private:
    std::function<void()> m_wake;
    std::mutex m_mutex;
    waiter_list m_ended;
};

} // namespace seedbed
