#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>

#include "core/device/block_device.hpp"
#include "core/device/io_job.hpp"
#include "core/device/io_profile.hpp"
#include "core/foundation/strong.hpp"
#include "core/foundation/worker_pool.hpp"

namespace seedbed {

/// Runs the transfers of one device, several at a time.
///
/// Threads: every member may be called from any thread; the destructor not from a thread of the queue. It returns after
/// the last job's end().
class io_queue {
public:
    io_queue() = default;
    io_queue(io_queue const&) = delete;
    io_queue& operator=(io_queue const&) = delete;
    virtual ~io_queue() = default;

    /// Takes a job without waiting for it. Jobs may run and end in an order other than that of arrival. If this throws
    /// (std::bad_alloc), the caller still owns the job.
    virtual void submit(io_job* job) = 0;
    /// Applies the profile's numbers of concurrent transfers.
    virtual void set_profile(io_profile const& profile) = 0;
    [[nodiscard]] virtual worker_pool::progress current_progress() const = 0;
    /// "threads" or "io_uring".
    [[nodiscard]] virtual char const* engine() const noexcept = 0;
    /// Why the memory used by transfers could not be registered, as errno; 0 if it was, or need not be.
    [[nodiscard]] virtual int memory_refused() const noexcept { return 0; }
};

/// Selects the waiting job to run next: the first to arrive, or, for a disk with a head, the next one in the direction
/// of the head, which moves one way and then flies back (C-LOOK).
///
/// Threads: confined by the caller.
class io_order {
public:
    explicit io_order(bool by_position = false) noexcept
        : m_by_position(by_position) {}

    /// Changes the order of jobs that arrive from now on; those already waiting are still taken.
    void set_by_position(bool by_position) noexcept { m_by_position = by_position; }
    /// If there is no memory to order by position, the job is taken in the order of arrival.
    void push(io_job* job) noexcept;
    /// The next job, or null.
    [[nodiscard]] io_job* pop() noexcept;
    [[nodiscard]] bool empty() const noexcept { return m_first == nullptr && m_by_offset.empty(); }

private:
    bool m_by_position;
    io_job* m_first = nullptr; ///< first of those in the order of arrival, linked through themselves
    io_job* m_last = nullptr;
    std::multimap<device_offset, io_job*> m_by_offset;
    device_offset m_head; ///< position of the job taken last
};

/// A queue whose transfers are blocking system calls, on threads of its own.
[[nodiscard]] std::unique_ptr<io_queue> make_thread_io_queue(block_device& device, io_profile const& profile);

} // namespace seedbed
