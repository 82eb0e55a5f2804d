#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/backend/image_device.hpp"
#include "core/backend/io_waiter.hpp"
#include "core/cache/piece_cache.hpp"
#include "core/cache/write_coalescer.hpp"
#include "core/device/io_profile.hpp"
#include "core/device/io_queue.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// How the images' transfers are run; from the configuration.
struct engine_options {
    std::span<std::byte> registered_memory; ///< for io_uring; may be empty
    /// A block waits to be written until then, or until take_due() is called later; may be empty.
    std::function<void(std::chrono::steady_clock::time_point)> on_dirty;
    /// Blocks have turned clean: there may be memory for others. May be empty. Called on the queue's threads.
    std::function<void()> on_freed;
};

/// Blocks of one image by way of the cache: reads each chunk once however many ask for it, and writes dirty blocks in
/// runs, in the order of the device.
///
/// Threads: every member may be called from any thread. Waiters are handed to their sinks on the threads of the queue.
class image_io {
public:
    using clock = std::chrono::steady_clock;

    /// \param number the image's in the cache. The image and the cache must outlive this.
    image_io(image_device& image, std::uint32_t number, piece_cache& cache, io_profile const& profile,
             engine_options options);
    image_io(image_io const&) = delete;
    image_io& operator=(image_io const&) = delete;
    /// Nothing may be outstanding but reads that nobody waits for.
    ~image_io();

    /// Looks for a block, and reads it and what the profile's read-ahead adds where it is not there. \param found set
    /// where it is. Does not throw: what fails for lack of memory comes to the waiter's sink with ENOMEM.
    [[nodiscard]] read_answer read_block(std::int32_t piece, std::int32_t block, io_waiter& waiter,
                                         block_ref& found) noexcept;
    /// The same, reading ahead no further than [\p begin, \p end) of the piece. \param uses see piece_cache::read().
    [[nodiscard]] read_answer read_block(std::int32_t piece, std::int32_t block, std::int32_t begin, std::int32_t end,
                                         io_waiter& waiter, block_ref& found, bool uses) noexcept;

    /// Takes a block to be written: it leaves when the coalescer says so. \p waiter is handed to its sink when it is on
    /// the device, or will never be. Does not throw, as read_block().
    void write_block(std::int32_t piece, std::int32_t block, block_ref memory, std::int32_t length, io_waiter& waiter);

    /// Everything dirty leaves now.
    void expedite();
    /// Everything leaves that has waited for the profile's delay.
    void take_due(clock::time_point now);
    [[nodiscard]] std::optional<clock::time_point> next_due() const { return m_coalescer.next_due(); }

    /// Calls \p call once when every write taken so far has ended: at once, or on the thread on which the last one
    /// ends. Where it throws std::bad_alloc there, it must have done nothing, and is called again. Makes them leave.
    /// Writes that are taken later are not waited for, however many there are.
    void when_written(std::function<void()> call);
    [[nodiscard]] bool has_unwritten() const noexcept { return m_unwritten.load() > 0; }

    void set_profile(io_profile const& profile);
    [[nodiscard]] worker_pool::progress progress() const { return m_queue->current_progress(); }
    [[nodiscard]] char const* engine() const noexcept { return m_queue->engine(); }
    /// Why io_uring was wanted and is not used, as errno, or 0.
    [[nodiscard]] int ring_refused() const noexcept { return m_ring_refused; }
    /// Why it has to do without registered memory, as errno, or 0.
    [[nodiscard]] int memory_refused() const noexcept { return m_queue->memory_refused(); }
    [[nodiscard]] piece_cache& cache() noexcept { return m_cache; }
    [[nodiscard]] std::uint32_t number() const noexcept { return m_number; }
    [[nodiscard]] image_device& image() noexcept { return m_image; }
    [[nodiscard]] io_queue& queue() noexcept { return *m_queue; }

    /// Whether transfers run in the order of the device, since it has a head to move.
    [[nodiscard]] bool in_device_order() const noexcept { return m_elevator.load(std::memory_order_relaxed); }
    /// Of the profile, in blocks.
    [[nodiscard]] std::int32_t read_ahead() const noexcept { return m_read_ahead.load(std::memory_order_relaxed); }

private:
    class fill_job;
    class write_job;

    void start_fill(piece_cache::fill& wanted) noexcept;
    void end_fill(fill_job& done, result<void, io_error> const& outcome) noexcept;
    /// Somewhere in the chunk is a bad place: each that waits has its own block read alone, which may well be good.
    void read_alone(waiter_list waiters) noexcept;
    void start_writes(std::span<block_run const> runs) noexcept;
    void start_write(block_run const& run);
    /// There is no memory to write these blocks: they fail, and with them the image.
    void fail_writes(block_run const& run) noexcept;
    void end_write(write_job& done, result<void, io_error> const& outcome) noexcept;
    void flushed(write_job& done, io_error const* failed) noexcept;
    [[nodiscard]] io_error no_memory(io_operation operation, std::int32_t piece, std::int32_t block,
                                     std::int32_t blocks) const noexcept;
    /// Of writes that were taken in one epoch: how many.
    struct epoch_count {
        std::uint64_t epoch;
        std::int64_t count;
    };
    void writes_ended(std::span<epoch_count const> ended);
    /// Hands those out whose writes have ended.
    void hand_out_written(waiter_list waiters, io_error const* failed) noexcept;
    static void hand_out(waiter_list waiters, io_error const* failed) noexcept;

    /// Jobs that are not in use. There is always room for all that were made.
    template <class Job>
    struct job_store {
        std::vector<std::unique_ptr<Job>> free;
        std::size_t made = 0;
    };
    template <class Job>
    [[nodiscard]] std::unique_ptr<Job> take_job(job_store<Job>& from);
    template <class Job>
    void give_back(job_store<Job>& to, Job& job) noexcept;

    image_device& m_image;
    std::uint32_t const m_number;
    piece_cache& m_cache;
    engine_options const m_options;
    write_coalescer m_coalescer;
    std::atomic<std::int32_t> m_read_ahead;         ///< blocks
    std::atomic<std::int32_t> m_longest;            ///< blocks in a run
    std::atomic<std::chrono::milliseconds> m_delay; ///< that a block waits for neighbours
    std::atomic<bool> m_elevator;
    bool const m_has_padding;
    std::atomic<std::int64_t> m_unwritten{0};
    int m_ring_refused = 0;

    /// Writes between two calls of when_written().
    struct epoch {
        std::int64_t unwritten = 0;
        std::vector<std::function<void()>> calls; ///< when this one and all before it have ended
    };
    std::mutex m_epochs_mutex;     ///< guards these two
    std::deque<epoch> m_epochs{1}; ///< the last one is open, and has no calls
    std::uint64_t m_first_epoch = 0;

    /// What fail_writes() uses: it can allocate nothing.
    std::mutex m_spare_mutex;
    std::unique_ptr<write_job> m_spare;

    std::mutex m_jobs_mutex; ///< guards these two
    job_store<fill_job> m_fills;
    job_store<write_job> m_writes;

    std::unique_ptr<io_queue> m_queue; ///< last: its threads end before what they use goes
};

} // namespace seedbed
