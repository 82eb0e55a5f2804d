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

#include "core/backend/hashed_once.hpp"
#include "core/backend/image_io.hpp"
#include "core/device/block_device.hpp"
#include "core/device/io_profile.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/image_torrent.hpp"

namespace seedbed {

class piece_hasher;

/// How the pieces that arrive are hashed.
struct hasher_options {
    bool ahead = true; ///< before they are complete
    /// How long a complete piece may wait to be hashed together with the next; none does where a piece takes longer
    /// than twice that. At 500 MiB/s, one of 16 MiB comes in 30 ms.
    std::chrono::milliseconds longest_wait{30};
};

/// One image on one device: the torrent's stream of bytes, read from and written to the device's extents.
///
/// Owns the device and its workers. Shared by all sessions that serve the image, and by the jobs in flight; the device
/// is closed with the last owner.
///
/// Threads: members are called from any thread unless they say otherwise. The blocking ones (read, write, flush) belong
/// on the device's workers, see queue().
class image_storage {
public:
    /// \param device at least torrent.extents.device_end() bytes long.
    image_storage(image_torrent torrent, std::unique_ptr<block_device> device, io_profile const& profile);
    image_storage(image_storage const&) = delete;
    image_storage& operator=(image_storage const&) = delete;
    ~image_storage();

    [[nodiscard]] image_torrent const& torrent() const noexcept { return m_torrent; }
    [[nodiscard]] block_device const& device() const noexcept { return *m_device; }
    /// Joins a backend: \p number is the image's in its cache. To be called once, before any io().
    void attach(std::uint32_t number, piece_cache& cache, engine_options options);
    [[nodiscard]] bool attached() const noexcept { return m_io != nullptr; }
    [[nodiscard]] image_io& io() noexcept { return *m_io; }
    /// \param self this. To be called once, after attach().
    void start_hasher(std::shared_ptr<image_storage> const& self, worker_pool& workers, hasher_options options);
    [[nodiscard]] piece_hasher& hasher() noexcept { return *m_hasher; }
    /// For a device that is read-only.
    [[nodiscard]] hashed_once& hashed() noexcept { return m_hashed; }
    /// A worker for what blocks: flushes.
    [[nodiscard]] worker_pool& calls() noexcept { return m_calls; }
    /// Of the transfers and the calls together: whichever has been without an end for longer.
    [[nodiscard]] worker_pool::progress progress() const;

    /// Offset in the stream of a piece's byte.
    [[nodiscard]] std::int64_t stream_offset(std::int32_t piece, std::int32_t offset) const noexcept {
        return std::int64_t{piece} * m_torrent.piece_length + offset;
    }
    /// Bytes of the stream in a piece.
    [[nodiscard]] std::int32_t piece_size(std::int32_t piece) const noexcept;

    /// As it was set last; on the thread that sets it.
    [[nodiscard]] io_profile const& profile() const noexcept { return m_profile; }
    /// Applies the profile's numbers that can change while the device is in use.
    void set_profile(io_profile const& profile);

    /// Where the stream's byte lies on the device, in bytes; that of the next extent for padding.
    [[nodiscard]] std::int64_t device_offset(std::int64_t stream_offset) const;
    /// For the queue that runs the transfers.
    [[nodiscard]] block_device& writable_device() noexcept { return *m_device; }

    /// Reads from the medium, past the page cache, to verify what is there; padding reads as zeros. Blocks.
    [[nodiscard]] result<void, io_error> read_medium(std::int64_t stream_offset, std::span<std::byte> target);
    /// Makes what was written durable. Blocks. An error fails the image; a failed image never flushes well.
    [[nodiscard]] result<void, io_error> flush();

    /// Called with the first error of the image, once, on the thread where it happened; again, where it throws
    /// std::bad_alloc, before which it must have done nothing. To be set before the first job.
    void set_error_handler(std::function<void(io_error const&)> handler) { m_on_error = std::move(handler); }
    /// A write has failed: the image has, and nothing is written any more.
    void fail_writes(io_error const& error) noexcept;
    /// The error after which nothing is written any more, if there was one.
    [[nodiscard]] std::optional<io_error> write_failure() const noexcept;
    /// Reports an error of a read or a hash: it does not stop later writes, but is seen by the error handler.
    void report(io_error const& error) noexcept;
    [[nodiscard]] std::optional<io_error> first_error() const;

    void count_read(std::int64_t bytes) noexcept { m_bytes_read.fetch_add(bytes, std::memory_order_relaxed); }
    void count_taken(std::int64_t bytes) noexcept { m_bytes_taken.fetch_add(bytes, std::memory_order_relaxed); }
    void count_written(std::int64_t bytes, std::int64_t runs) noexcept {
        m_bytes_written.fetch_add(bytes, std::memory_order_relaxed);
        m_runs_written.fetch_add(runs, std::memory_order_relaxed);
    }
    /// Bytes of the stream that came to be written since the image was opened: those written, and those on their way.
    [[nodiscard]] std::int64_t bytes_taken() const noexcept { return m_bytes_taken.load(std::memory_order_relaxed); }
    /// Sums since the image was opened, in bytes of the device.
    [[nodiscard]] std::int64_t bytes_read() const noexcept { return m_bytes_read.load(std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t bytes_written() const noexcept {
        return m_bytes_written.load(std::memory_order_relaxed);
    }
    /// Consecutive bytes of the device that were written at once.
    [[nodiscard]] std::int64_t runs_written() const noexcept { return m_runs_written.load(std::memory_order_relaxed); }

private:
    image_torrent const m_torrent;
    std::unique_ptr<block_device> m_device;
    io_profile m_profile;
    std::function<void(io_error const&)> m_on_error;

    mutable std::mutex m_error_mutex;
    std::optional<io_error> m_first_error;
    std::optional<io_error> m_write_error; ///< set once; from then on nothing is written

    std::atomic<std::int64_t> m_bytes_read{0};
    std::atomic<std::int64_t> m_bytes_taken{0};
    std::atomic<std::int64_t> m_bytes_written{0};
    std::atomic<std::int64_t> m_runs_written{0};

    hashed_once m_hashed;
    worker_pool m_calls;
    std::unique_ptr<piece_hasher> m_hasher;
    std::unique_ptr<image_io> m_io; ///< last: its threads end before what they use goes
};

} // namespace seedbed
