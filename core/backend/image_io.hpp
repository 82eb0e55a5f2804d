#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/backend/image_device.hpp"
#include "core/backend/io_waiter.hpp"
#include "core/backend/transfer_jobs.hpp"
#include "core/backend/write_batch.hpp"
#include "core/backend/write_epochs.hpp"
#include "core/cache/piece_cache.hpp"
#include "core/cache/write_coalescer.hpp"
#include "core/device/io_profile.hpp"
#include "core/device/io_queue.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

/// How the transfers of an image are run.
struct engine_options {
    std::span<std::byte> registered_memory; ///< for io_uring; may be empty
    /// A block waits to be written by that time: take_due() must be called then. May be empty.
    std::function<void(std::chrono::steady_clock::time_point)> on_dirty;
    /// Blocks have turned clean, which may free memory for others. May be empty. Called on the queue's threads.
    std::function<void()> on_freed;
};

/// Reads and writes blocks of one image through the cache: reads each chunk once however many peers request it, and
/// writes dirty blocks in runs, in the order of the device.
///
/// The blocks that a write takes go into batches that are reserved when the image opens: one for each concurrent write
/// of the device, with room for the longest run. No step between taking a write and passing it to the device can fail
/// for lack of memory: the few small allocations that remain are retried until they succeed.
///
/// Threads: every member may be called from any thread. Waiters are delivered to their sinks on the queue's threads.
class image_io final : private transfer_owner {
public:
    using clock = std::chrono::steady_clock;

    /// \param number the image's number in the cache. The image and the cache must outlive this object. Throws
    /// std::system_error or std::bad_alloc if the system provides no threads or no memory.
    image_io(image_device& image, std::uint32_t number, piece_cache& cache, io_profile const& profile,
             engine_options options);
    image_io(image_io const&) = delete;
    image_io& operator=(image_io const&) = delete;
    /// Nothing may be outstanding except reads without waiters.
    ~image_io();

    /// Looks up a block, and reads it with the profile's read-ahead if it is not in memory. \param found set if it is
    /// in memory. Does not throw: lack of memory is reported to the waiter's sink as ENOMEM.
    [[nodiscard]] read_answer read_block(piece_index piece, std::int32_t block, io_waiter& waiter,
                                         block_ref& found) noexcept;
    /// The same, but reads ahead only within [\p begin, \p end) of the piece. \param uses see piece_cache::read().
    [[nodiscard]] read_answer read_block(piece_index piece, std::int32_t block, std::int32_t begin, std::int32_t end,
                                         io_waiter& waiter, block_ref& found, bool uses) noexcept;

    /// Takes a block to write: it leaves when the coalescer decides. \p waiter is delivered to its sink when the block
    /// is on the device or has failed. Does not throw.
    void write_block(piece_index piece, std::int32_t block, block_ref memory, std::int32_t length, io_waiter& waiter);

    /// Makes all dirty blocks leave now.
    void expedite() noexcept;
    /// Makes all blocks leave that have waited for the profile's delay.
    void take_due(clock::time_point now) noexcept;
    [[nodiscard]] std::optional<clock::time_point> next_due() const { return m_coalescer.next_due(); }

    /// Makes all dirty blocks leave, and calls \p call once when every write taken so far has ended (see
    /// write_epochs::when_ended()); at once if none is in flight.
    void when_written(std::function<void()> call);
    [[nodiscard]] bool has_unwritten() const noexcept { return m_epochs.any(); }

    /// Throws std::bad_alloc, without any effect, if there is no memory for longer runs or more of them.
    void set_profile(io_profile const& profile);
    [[nodiscard]] worker_pool::progress progress() const { return m_queue->current_progress(); }
    [[nodiscard]] char const* engine() const noexcept { return m_queue->engine(); }
    /// Why io_uring is not used although requested, as errno, or 0.
    [[nodiscard]] int ring_refused() const noexcept { return m_ring_refused; }
    /// Why the ring works without registered memory, as errno, or 0.
    [[nodiscard]] int memory_refused() const noexcept { return m_queue->memory_refused(); }
    [[nodiscard]] piece_cache& cache() noexcept { return m_cache; }
    [[nodiscard]] std::uint32_t number() const noexcept { return m_number; }
    [[nodiscard]] image_device& image() noexcept { return m_image; }
    [[nodiscard]] io_queue& queue() noexcept { return *m_queue; }

    /// Whether transfers run in the order of the device, because it has a head to move.
    [[nodiscard]] bool in_device_order() const noexcept { return m_elevator.load(std::memory_order_relaxed); }
    /// The profile's read-ahead, in blocks.
    [[nodiscard]] std::int32_t read_ahead() const noexcept { return m_read_ahead.load(std::memory_order_relaxed); }

private:
    void start_fill(piece_cache::fill& wanted) noexcept;
    void end_fill(fill_job& done, result<void, io_error> const& outcome) noexcept override;
    /// Part of the chunk cannot be read: reads each waiter's block alone, since most of them may be good.
    void read_alone(waiter_list waiters) noexcept;
    void clear_padding(piece_index piece, std::int32_t block, std::span<std::byte> bytes) const noexcept;
    void start_writes(std::span<block_run const> runs) noexcept;
    void end_write(write_job& done, result<void, io_error> const& outcome) noexcept override;
    /// Delivers the waiters of the written content; blocks that were written again leave at once.
    void end_flush(write_batch& done, io_error const* failed) noexcept;
    static void hand_out(waiter_list waiters, io_error const* failed) noexcept;

    /// Reserves one batch per concurrent transfer, each with room for the longest run. Throws std::bad_alloc.
    void reserve_batches(io_profile const& profile);

    image_device& m_image;
    std::uint32_t const m_number;
    piece_cache& m_cache;
    engine_options const m_options;
    write_coalescer m_coalescer;
    std::atomic<std::int32_t> m_read_ahead;         ///< blocks
    std::atomic<std::int32_t> m_coalesce;           ///< blocks in a run that leaves at once
    std::atomic<std::int32_t> m_most;               ///< blocks in one write
    std::atomic<std::chrono::milliseconds> m_delay; ///< how long a block waits for neighbours
    std::atomic<bool> m_elevator;
    bool const m_has_padding;
    int m_ring_refused = 0;
    write_epochs m_epochs;

    write_batches m_batches;
    transfer_context const m_parts{*this, m_image, m_number, m_cache, m_coalescer, m_batches, m_most};
    job_store<fill_job> m_fills{m_parts};
    job_store<write_job> m_writes{m_parts};

    std::unique_ptr<io_queue> m_queue; ///< last, so that its threads end before the members that they use
};

} // namespace seedbed
