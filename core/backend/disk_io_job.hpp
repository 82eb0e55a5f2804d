#pragma once

// Private to disk_io: included by its .cpp files only.

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include <boost/asio/error.hpp>
#include <libtorrent/disk_interface.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/time.hpp>

#include "core/backend/disk_io.hpp"

namespace seedbed {

/// One operation from its posting to its handler. It has one owner at any time: the network thread, then a worker, then
/// the network thread again; so the storage's last reference is never dropped by a worker of its own device.
struct disk_io::job {
    disk_io* owner = nullptr; ///< writes of several sessions to one image can wait for one another
    storage_ptr target;
    void (disk_io::*start)(job_ptr) = &disk_io::finish_at_once; ///< called when its fence lets it run
    job_kind kind = job_kind::fence;
    bool volatile_read = false; ///< part of a full check, which need not finish when the torrent stops
    bool v1 = false;
    std::uint32_t stops = 0; ///< value of the storage's when it was posted
    std::int32_t piece = 0;
    std::int32_t offset = 0; ///< within the piece, in bytes
    std::int32_t length = 0; ///< bytes
    libtorrent::storage_error error;
    std::shared_ptr<pool_block> block; ///< what to write; what was read
    std::vector<dirty_block> overlay;
    std::span<libtorrent::sha256_hash> block_hashes; ///< libtorrent's memory, valid until the handler has run
    libtorrent::sha1_hash sha1;
    libtorrent::sha256_hash sha256;
    /// Calls libtorrent's handler with the result. Runs once, on the network thread.
    std::function<void(job&)> handler;

    [[nodiscard]] image_storage& image() const;
    [[nodiscard]] std::int64_t stream_offset() const { return image().stream_offset(piece, offset); }
    [[nodiscard]] std::span<std::byte> buffer() const { return block->bytes().first(static_cast<std::size_t>(length)); }
    void fail(int code, libtorrent::operation_t operation) {
        error.ec = libtorrent::error_code(code, boost::system::generic_category());
        error.operation = operation;
    }
    void abort() {
        error.ec = boost::asio::error::operation_aborted;
        error.operation = libtorrent::operation_t::unknown;
    }
};

/// A torrent of this session. The image is shared with other sessions, the fence is this session's own.
struct disk_io::storage {
    std::shared_ptr<image_storage> image; ///< null for a torrent that the backend does not know
    job_fence<job> fence;
    std::atomic<std::uint32_t> stops{0}; ///< counts stops: a check that was posted before the last one need not run
    libtorrent::time_point last_use = libtorrent::clock_type::now();

    storage(disk_io& owner, std::shared_ptr<image_storage> found)
        : image(std::move(found))
        , fence([&owner](job_ptr what) {
            auto const start = what->start;
            (owner.*start)(std::move(what));
        }) {}
};

inline image_storage& disk_io::job::image() const {
    return *target->image;
}

} // namespace seedbed
