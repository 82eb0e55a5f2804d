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
/// Threads: every member may be called from any thread; the destructor from none of the queue's. It returns after the
/// last job's end().
class io_queue {
public:
    io_queue() = default;
    io_queue(io_queue const&) = delete;
    io_queue& operator=(io_queue const&) = delete;
    virtual ~io_queue() = default;

    /// Takes a job; never waits for it. Jobs may run and end in another order than they came. Where it throws
    /// (std::bad_alloc) the job is the caller's still.
    virtual void submit(io_job* job) = 0;
    /// Takes over the numbers of transfers at a time.
    virtual void set_profile(io_profile const& profile) = 0;
    [[nodiscard]] virtual worker_pool::progress current_progress() const = 0;
    /// "threads" or "io_uring".
    [[nodiscard]] virtual char const* engine() const noexcept = 0;
    /// Why the memory that transfers use could not be registered, as errno; 0 where it was, or need not be.
    [[nodiscard]] virtual int memory_refused() const noexcept { return 0; }
};

/// Which of the jobs that wait runs next: the first that came, or, for a disk with a head, the next one on the way of
/// the head, which moves in one direction and then flies back (C-LOOK).
///
/// Threads: confined by the caller.
class io_order {
public:
    explicit io_order(bool by_position = false) noexcept
        : m_by_position(by_position) {}

    /// Changes the order of jobs that come from now on; all that wait are still taken.
    void set_by_position(bool by_position) noexcept { m_by_position = by_position; }
    /// Where there is no memory to keep the order of positions, the job is taken in the order of coming.
    void push(io_job* job) noexcept;
    /// The next one, or null.
    [[nodiscard]] io_job* pop() noexcept;
    [[nodiscard]] bool empty() const noexcept { return m_first == nullptr && m_by_offset.empty(); }

private:
    bool m_by_position;
    io_job* m_first = nullptr; ///< of those in the order of coming, linked through themselves
    io_job* m_last = nullptr;
    std::multimap<device_offset, io_job*> m_by_offset;
    device_offset m_head; ///< position of the job that was taken last
};

/// A queue whose transfers are system calls that block, on threads of its own.
[[nodiscard]] std::unique_ptr<io_queue> make_thread_io_queue(block_device& device, io_profile const& profile);

} // namespace seedbed
