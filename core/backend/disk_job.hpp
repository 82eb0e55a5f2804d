#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <utility>

#include <boost/asio/error.hpp>
#include <libtorrent/disk_buffer_holder.hpp>
#include <libtorrent/disk_interface.hpp>
#include <libtorrent/disk_observer.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/sha1_hash.hpp>
#include <libtorrent/time.hpp>

#include "core/backend/in_flight_count.hpp"
#include "core/backend/io_waiter.hpp"
#include "core/backend/job_fence.hpp"
#include "core/backend/read_checks.hpp"
#include "core/backend/served_image.hpp"
#include "core/cache/back_pressure.hpp"
#include "core/cache/drain_meter.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

class disk_io;
struct disk_storage;

enum class disk_job_kind : std::uint8_t { read, write, hash, fence };

/// One operation of a disk_io, from its posting to its handler. It has one owner at any time: the network thread, then
/// a worker or the cache, then the network thread again. A worker therefore never drops the last reference to the
/// storage of its own device. Reused after its handler has run, so that an operation allocates nothing.
struct disk_job : io_waiter {
    std::shared_ptr<disk_storage> target;
    void (disk_io::*start)(std::unique_ptr<disk_job>) = nullptr; ///< called when its fence allows it to run
    disk_job_kind kind = disk_job_kind::fence;
    bool volatile_read = false; ///< part of a full check, which need not finish when the torrent stops
    bool v1 = false;
    bool internal = false;   ///< not posted by libtorrent, so no fence waits for it
    std::uint32_t stops = 0; ///< the storage's count of stops when the job was posted
    piece_index piece;
    std::int32_t offset = 0; ///< within the piece, in bytes
    std::int32_t length = 0; ///< bytes
    libtorrent::storage_error error;
    in_flight_count::token flight; ///< while a worker or the cache holds the job
    block_ref memory;              ///< the block to write, or that was read; the data is at offset within its block
    std::int32_t copied = 0;       ///< of a read that spans two blocks: bytes already in memory
    std::span<libtorrent::sha256_hash> block_hashes; ///< libtorrent's memory, valid until the handler has run
    libtorrent::sha1_hash sha1;
    libtorrent::sha256_hash sha256;

    // The one that is set is called with the result, once, on the network thread. Those of the hot path are
    // libtorrent's own, not wrapped, because wrapping allocates.
    std::function<void(libtorrent::disk_buffer_holder, libtorrent::storage_error const&)> read_handler;
    std::function<void(libtorrent::storage_error const&)> write_handler;
    std::function<void(disk_job&)> handler;

    [[nodiscard]] served_image& image() const;
    [[nodiscard]] std::int32_t first_block() const noexcept { return offset / block_size; }
    [[nodiscard]] std::int32_t last_block() const noexcept { return (offset + length - 1) / block_size; }
    [[nodiscard]] bool spans_two() const noexcept { return first_block() != last_block(); }

    void fail(int code, libtorrent::operation_t operation) {
        error.ec = libtorrent::error_code(code, boost::system::generic_category());
        error.operation = operation;
    }
    void abort() {
        error.ec = boost::asio::error::operation_aborted;
        error.operation = libtorrent::operation_t::unknown;
    }
    /// Resets everything but its memory.
    void reset() {
        target.reset();
        start = nullptr;
        volatile_read = false;
        v1 = false;
        internal = false;
        sha1.clear();
        error = {};
        memory = {};
        copied = 0;
        block = {};
        block_hashes = {};
        read_handler = nullptr;
        write_handler = nullptr;
        handler = nullptr;
    }
};

/// A torrent of this session. The image is shared with other sessions; the fence is this session's own.
struct disk_storage {
    std::shared_ptr<served_image> image; ///< null for a torrent that the backend does not know
    job_fence<disk_job> fence;
    std::atomic<std::uint32_t> stops{0}; ///< counts stops: a check posted before the last one need not run
    libtorrent::time_point last_use = libtorrent::clock_type::now();
    /// Of this device only: a slow device does not hold back senders to others.
    back_pressure<libtorrent::disk_observer> pressure{1};
    drain_meter drain;
    std::optional<read_checks> checks; ///< nothing if any piece may be read
    bool pressed = false;              ///< as disk_io::m_pressed
    bool stopped = false;              ///< no write has begun since the torrent was stopped

    /// \param start is called with each job when the fence allows it to run.
    disk_storage(std::shared_ptr<served_image> found, std::function<void(std::unique_ptr<disk_job>)> start)
        : image(std::move(found))
        , fence(std::move(start)) {}
};

inline served_image& disk_job::image() const {
    return *target->image;
}

} // namespace seedbed
