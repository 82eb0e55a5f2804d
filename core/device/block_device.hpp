#pragma once

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include <fcntl.h>
#include <sys/uio.h>

#include "core/device/direct_io.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// The descriptors of a device, which owns them.
struct raw_device {
    int cached = -1;     ///< through the page cache
    int direct = -1;     ///< past it; only for what rules allow
    int write_back = -1; ///< for sync_file_range(2): an open file of its own, see block_device::wrote_back()
    direct_rules rules;
    std::int64_t size = 0; ///< bytes; what lies beyond must not be touched: a regular file would grow
    bool writable = false;
    /// The kernel writes for one caller at a time, as most file systems do to a regular file through the page cache:
    /// more threads would only wait for its lock.
    bool one_writer = false;

    /// Why a transfer must not reach the system, or 0.
    [[nodiscard]] int refuse(bool write, std::int64_t offset, std::int64_t length) const noexcept {
        if (write && !writable) {
            return EROFS;
        }
        if (offset < 0) {
            return EINVAL;
        }
        return offset <= size && length <= size - offset ? 0 : write ? ENOSPC : EIO;
    }
};

/// A device that holds an image: a block device, a regular file, or a fake of the tests.
///
/// Threads: every member may be called from any thread, also concurrently. Concurrent transfers to overlapping ranges
/// have no defined order: callers that need one wait for the first to return.
class block_device {
public:
    block_device() = default;
    block_device(block_device const&) = delete;
    block_device& operator=(block_device const&) = delete;
    virtual ~block_device() = default;

    /// The path as the user gave it, for messages.
    [[nodiscard]] virtual std::string const& path() const noexcept = 0;
    /// Length in bytes when it was opened.
    [[nodiscard]] virtual std::int64_t size() const noexcept = 0;
    /// True where writes are refused.
    [[nodiscard]] virtual bool read_only() const noexcept = 0;

    /// Fills all of \p buffer from \p offset (bytes). A short transfer is continued, EINTR retried; the end of the
    /// device before the end of the buffer is an error (EIO).
    [[nodiscard]] virtual result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) = 0;

    /// Writes all of \p buffer at \p offset (bytes). A short transfer is continued, EINTR retried, zero progress is an
    /// error (EIO). Success says nothing about durability: see flush().
    [[nodiscard]] virtual result<void, io_error> write(std::int64_t offset, std::span<std::byte const> buffer) = 0;

    /// The same from \p offset on into several pieces of memory, one after another.
    [[nodiscard]] virtual result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) = 0;
    /// The same at \p offset out of several pieces of memory.
    [[nodiscard]] virtual result<void, io_error> write(std::int64_t offset, std::span<iovec const> memory) = 0;

    /// What an engine needs that makes system calls of its own; nothing where the device is no file.
    [[nodiscard]] virtual std::optional<raw_device> raw() const noexcept { return std::nullopt; }
    /// To be called before bytes are written by raw(): a flush that fails names them.
    virtual void will_write(std::int64_t /*offset*/, std::int64_t /*length*/) {}
    /// Accounts for bytes that were written through raw() and the page cache. \return whether the caller must now do
    /// what a write() would: start write-back of the whole device by sync_file_range(2) on raw_device::write_back with
    /// write_back_flags, which blocks, and tell wrote_back() the outcome.
    [[nodiscard]] virtual bool wrote_through_cache(std::int64_t /*bytes*/) noexcept { return false; }
    /// \param code errno of that call, or 0. \return the outcome of the write of \p bytes after which it was made.
    [[nodiscard]] virtual result<void, io_error> wrote_back(std::int64_t /*bytes*/, int /*code*/) noexcept {
        return {};
    }
    /// Waiting for what was started last time keeps little more than two such amounts in memory, and one for each other
    /// thread.
    static constexpr unsigned write_back_flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE;

    /// Makes everything written before durable. After a failure everything since the last success is suspect, and the
    /// kernel reports a lost page once: so every later flush of this object fails with the same error. Its offset and
    /// length are those of the range around all that was written since the last success.
    [[nodiscard]] virtual result<void, io_error> flush() = 0;

    /// As read(), but from the medium and not from memory that holds what was written: past the page cache where the
    /// file system allows it. Used to verify.
    [[nodiscard]] virtual result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) = 0;
};

} // namespace seedbed
