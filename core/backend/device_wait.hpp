#pragma once

#include <atomic>
#include <chrono>
#include <mutex>

#include "core/backend/io_waiter.hpp"
#include "core/foundation/worker_pool.hpp"

namespace seedbed {

/// How hash workers wait for one device. A worker that has waited for `longest` is replaced by another one until the
/// device answers, and further jobs for the device are parked, so that a hung device does not keep other images from
/// being hashed.
///
/// Threads: every member may be called from any thread; wait_for() blocks.
class device_wait {
public:
    static constexpr std::chrono::seconds longest{1};

    /// \param workers must outlive this object.
    explicit device_wait(worker_pool& workers)
        : m_workers(workers) {}
    device_wait(device_wait const&) = delete;
    device_wait& operator=(device_wait const&) = delete;

    /// Takes a job that would only block another worker; its sink's waiter_sink::try_again() is called when the device
    /// has answered. \return false if the job may run now.
    [[nodiscard]] bool park(io_waiter& job);

    /// Waits for a transfer. \param semaphore is released when the transfer has ended.
    template <class Semaphore>
    void wait_for(Semaphore& semaphore) noexcept {
        if (semaphore.try_acquire_for(longest)) {
            return;
        }
        begin_long_wait();
        semaphore.acquire();
        end_long_wait();
    }

private:
    void begin_long_wait() noexcept;
    void end_long_wait() noexcept;

    worker_pool& m_workers;
    std::atomic<int> m_waiting_long{0}; ///< number of workers; changes under the mutex
    std::mutex m_mutex;                 ///< guards m_parked
    waiter_list m_parked;
};

} // namespace seedbed
