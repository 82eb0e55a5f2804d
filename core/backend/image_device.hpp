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

#include "core/device/block_device.hpp"
#include "core/foundation/strong.hpp"
#include "core/image/ends_last_device.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/image_torrent.hpp"
#include "core/image/packed_target.hpp"

namespace seedbed {

/// One image on one device: the place of the torrent's stream on the device, the image's errors, and the amount
/// transferred. The lowest class of the data path: independent of caches, queues and sessions.
///
/// Owns the device. Threads: every member may be called from any thread. read_medium() and flush() block and belong on
/// a worker.
class image_device {
public:
    /// \param device at least torrent.extents.device_end() bytes long.
    image_device(image_torrent torrent, std::unique_ptr<block_device> device);
    image_device(image_device const&) = delete;
    image_device& operator=(image_device const&) = delete;

    [[nodiscard]] image_torrent const& torrent() const noexcept { return m_torrent; }
    [[nodiscard]] block_device const& device() const noexcept { return *m_device; }
    /// For the queue that runs the transfers.
    [[nodiscard]] block_device& writable_device() noexcept { return *m_device; }
    /// The device if it unpacks a packed image, otherwise null.
    [[nodiscard]] packed_target* packed() const noexcept { return m_packed; }
    /// The device on which the ends of the image can be held back, or null.
    [[nodiscard]] ends_last_device* ends() const noexcept { return m_ends; }
    /// The device that stores the image: below a packed target, the one that holds the chunks.
    [[nodiscard]] block_device& storage() const noexcept {
        return m_packed != nullptr ? m_packed->device() : *m_device;
    }
    /// The bytes of storage() that belong to the image.
    [[nodiscard]] result<extent_map> stored_extents() const;

    // --- layout

    /// The offset in the stream of a byte in a piece.
    [[nodiscard]] torrent_offset stream_offset(piece_index piece, std::int32_t offset) const noexcept {
        return torrent_offset{std::int64_t{piece.value()} * m_torrent.piece_length + offset};
    }
    /// Bytes of the stream in a piece.
    [[nodiscard]] std::int32_t piece_size(piece_index piece) const noexcept;
    [[nodiscard]] std::int32_t blocks_in_piece(piece_index piece) const noexcept;
    /// The bytes of storage() that a piece stands for: those of its chunks, or piece_size(); and of all pieces.
    [[nodiscard]] std::int64_t stored_size(piece_index piece) const;
    [[nodiscard]] std::int64_t stored_bytes() const noexcept;
    /// The slices of storage() that a piece stands for, in order, without padding.
    [[nodiscard]] std::vector<extent> stored_slices(piece_index piece) const;
    /// Removes the pieces with bytes in the ends of the image: while these are held back, they are not on the device.
    /// \param pieces one bit for each piece.
    void remove_ends(std::vector<bool>& pieces) const;
    /// The position on the device of a byte of the stream; 0 for padding.
    [[nodiscard]] device_offset on_device(torrent_offset at) const;

    // --- transfers that block

    /// Reads from the medium, past the page cache, to verify the written data; padding reads as zeros.
    [[nodiscard]] result<void, io_error> read_medium(torrent_offset begin, std::span<std::byte> target);
    /// Makes the written data durable. An error fails the image; every later flush of a failed image fails.
    [[nodiscard]] result<void, io_error> flush();
    /// The same for a complete image, whose ends it writes if they were held back.
    [[nodiscard]] result<void, io_error> complete();

    // --- errors

    /// \p handler is called once, with the first error of the image, on the thread where the error occurred. If it
    /// throws std::bad_alloc, it must have had no effect, and is called again. Must be set before the first job.
    void set_error_handler(std::function<void(io_error const&)> handler) { m_on_error = std::move(handler); }
    /// A write or a flush has failed, and with it the image: nothing more is written.
    void fail_writes(io_error const& error) noexcept;
    /// The error that ended all writing, if any.
    [[nodiscard]] std::optional<io_error> write_failure() const noexcept;
    /// Lets writes reach the device again, unless a flush was what failed. \return whether a write had failed.
    bool forget_write_failure() noexcept;
    /// Reports an error of a read or a hash to the error handler, unless it is piece_withdrawn; does not stop later
    /// writes.
    void report(io_error const& error) noexcept;
    [[nodiscard]] std::optional<io_error> first_error() const;

    // --- counters: totals since the image was opened

    void count_read(std::int64_t bytes) noexcept { m_bytes_read.fetch_add(bytes, std::memory_order_relaxed); }
    void count_taken(std::int64_t bytes) noexcept { m_bytes_taken.fetch_add(bytes, std::memory_order_relaxed); }
    void count_written(std::int64_t bytes, std::int64_t runs) noexcept {
        m_bytes_written.fetch_add(bytes, std::memory_order_relaxed);
        m_runs_written.fetch_add(runs, std::memory_order_relaxed);
    }
    /// Bytes of the stream that arrived to be written, whether or not they have reached the device.
    [[nodiscard]] std::int64_t bytes_taken() const noexcept { return m_bytes_taken.load(std::memory_order_relaxed); }
    /// In bytes of storage().
    [[nodiscard]] std::int64_t bytes_read() const noexcept {
        return m_packed != nullptr ? m_packed->bytes_read() : m_bytes_read.load(std::memory_order_relaxed);
    }
    [[nodiscard]] std::int64_t bytes_written() const noexcept {
        return m_packed != nullptr ? m_packed->bytes_written() : m_bytes_written.load(std::memory_order_relaxed);
    }
    /// The number of contiguous ranges of the device written in one transfer each.
    [[nodiscard]] std::int64_t runs_written() const noexcept { return m_runs_written.load(std::memory_order_relaxed); }

private:
    [[nodiscard]] std::vector<piece_index> pieces_in_ends() const;
    [[nodiscard]] result<void, io_error> unless_failed(std::function<result<void, io_error>()> const& flush);

    image_torrent const m_torrent;
    std::unique_ptr<block_device> const m_device;
    packed_target* const m_packed;  ///< the same device, or null
    ends_last_device* const m_ends; ///< storage(), or null
    std::vector<piece_index> const m_end_pieces;
    std::function<void(io_error const&)> m_on_error;

    mutable std::mutex m_error_mutex; ///< guards the next two members
    std::optional<io_error> m_first_error;
    std::optional<io_error> m_write_error; ///< nothing is written while it is set

    std::atomic<std::int64_t> m_bytes_read{0};
    std::atomic<std::int64_t> m_bytes_taken{0};
    std::atomic<std::int64_t> m_bytes_written{0};
    std::atomic<std::int64_t> m_runs_written{0};
};

} // namespace seedbed
