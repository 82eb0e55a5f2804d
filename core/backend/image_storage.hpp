#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "core/cache/dirty_blocks.hpp"
#include "core/device/block_device.hpp"
#include "core/device/io_profile.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/image_torrent.hpp"

namespace seedbed {

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
    ~image_storage() = default;

    [[nodiscard]] image_torrent const& torrent() const noexcept { return m_torrent; }
    [[nodiscard]] block_device const& device() const noexcept { return *m_device; }
    [[nodiscard]] dirty_blocks& dirty() noexcept { return m_dirty; }
    [[nodiscard]] worker_pool& queue() noexcept { return m_queue; }

    /// Offset in the stream of a piece's byte.
    [[nodiscard]] std::int64_t stream_offset(std::int32_t piece, std::int32_t offset) const noexcept {
        return std::int64_t{piece} * m_torrent.piece_length + offset;
    }
    /// Bytes of the stream in a piece.
    [[nodiscard]] std::int32_t piece_size(std::int32_t piece) const noexcept;

    /// Applies the profile's numbers that can change while the device is in use.
    void set_profile(io_profile const& profile);

    /// Reads from the device; padding reads as zeros. Blocks. What is still dirty is not seen: overlay it.
    [[nodiscard]] result<void, io_error> read(std::int64_t stream_offset, std::span<std::byte> target);
    /// The same past the page cache, to verify what is on the medium.
    [[nodiscard]] result<void, io_error> read_medium(std::int64_t stream_offset, std::span<std::byte> target);
    /// Writes to the device; padding is dropped. Blocks. The first error fails the image: every later write ends with
    /// it at once.
    [[nodiscard]] result<void, io_error> write(std::int64_t stream_offset, std::span<std::byte const> source);
    /// Makes what was written durable. Blocks. An error fails the image; a failed image never flushes well.
    [[nodiscard]] result<void, io_error> flush();

    /// Called with the first error of the image, once, on the thread where it happened. To be set before the first job.
    void set_error_handler(std::function<void(io_error const&)> handler) { m_on_error = std::move(handler); }
    /// Reports an error of a read or a hash: it does not stop later writes, but is seen by the error handler.
    void report(io_error const& error);
    [[nodiscard]] std::optional<io_error> first_error() const;

    /// Sums since the image was opened, in bytes of the device.
    [[nodiscard]] std::int64_t bytes_read() const noexcept { return m_bytes_read.load(std::memory_order_relaxed); }
    [[nodiscard]] std::int64_t bytes_written() const noexcept {
        return m_bytes_written.load(std::memory_order_relaxed);
    }

private:
    void fail_writes(io_error const& error);

    image_torrent const m_torrent;
    std::unique_ptr<block_device> m_device;
    dirty_blocks m_dirty;
    std::function<void(io_error const&)> m_on_error;

    mutable std::mutex m_error_mutex;
    std::optional<io_error> m_first_error;
    std::optional<io_error> m_write_error; ///< set once; from then on nothing is written

    std::atomic<std::int64_t> m_bytes_read{0};
    std::atomic<std::int64_t> m_bytes_written{0};

    worker_pool m_queue; ///< last: its threads end before what they use goes
};

} // namespace seedbed
