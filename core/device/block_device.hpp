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
    int direct = -1;     ///< bypasses the page cache; only for transfers that the rules allow
    int write_back = -1; ///< for sync_file_range(2): a separate open file, see block_device::wrote_back()
    direct_rules rules;
    std::int64_t size = 0; ///< bytes; nothing beyond may be transferred: a regular file would grow
    bool writable = false;
    /// The kernel writes for one caller at a time, as most file systems do for a regular file through the page cache:
    /// more threads would only wait for its lock.
    bool one_writer = false;

    /// Why a transfer must not be passed to the system, as errno, or 0.
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

/// Consecutive bytes of a device.
struct device_range {
    std::int64_t offset = 0; ///< bytes from the start of the device
    std::int64_t length = 0; ///< bytes
};

/// A device that stores an image: a block device, a regular file, or a fake for tests.
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
    /// Size in bytes at the time of opening.
    [[nodiscard]] virtual std::int64_t size() const noexcept = 0;
    /// Whether writes are refused.
    [[nodiscard]] virtual bool read_only() const noexcept = 0;

    /// Fills all of \p buffer from \p offset (bytes). Short transfers are continued, EINTR is retried; if the device
    /// ends before the buffer is full, that is an error (EIO).
    [[nodiscard]] virtual result<void, io_error> read(std::int64_t offset, std::span<std::byte> buffer) = 0;

    /// Writes all of \p buffer at \p offset (bytes). Short transfers are continued, EINTR is retried; zero progress is
    /// an error (EIO). Success does not imply durability: see flush().
    [[nodiscard]] virtual result<void, io_error> write(std::int64_t offset, std::span<std::byte const> buffer) = 0;

    /// Reads from \p offset into several memory ranges, one after another.
    [[nodiscard]] virtual result<void, io_error> read(std::int64_t offset, std::span<iovec const> memory) = 0;
    /// Writes at \p offset from several memory ranges, one after another.
    [[nodiscard]] virtual result<void, io_error> write(std::int64_t offset, std::span<iovec const> memory) = 0;

    /// Descriptors for an I/O engine that makes its own system calls; nothing if the device is not a file.
    [[nodiscard]] virtual std::optional<raw_device> raw() const noexcept { return std::nullopt; }
    /// The first part of a range that is in memory for now: transfer it with read() and write(), which do not block
    /// there, not through raw(). Its length is 0 if there is none.
    [[nodiscard]] virtual device_range part_in_memory(std::int64_t /*offset*/, std::int64_t /*length*/) const noexcept {
        return {};
    }
    /// Must be called before bytes are written through raw(), so that a failed flush can name them. May block the first
    /// time. After an error, the bytes must not be written.
    [[nodiscard]] virtual result<void, io_error> will_write(std::int64_t /*offset*/, std::int64_t /*length*/) {
        return {};
    }
    /// Accounts for bytes that were written through raw() and the page cache. \return whether the caller must now do
    /// what write() would do: start write-back of the whole device with sync_file_range(2) on raw_device::write_back
    /// with write_back_flags, which blocks, and pass its outcome to wrote_back().
    [[nodiscard]] virtual bool wrote_through_cache(std::int64_t /*bytes*/) noexcept { return false; }
    /// \param code errno of that call, or 0. \return the outcome of the write of \p bytes that preceded it.
    [[nodiscard]] virtual result<void, io_error> wrote_back(std::int64_t /*bytes*/, int /*code*/) noexcept {
        return {};
    }
    /// Waiting for the write-back started last time limits the dirty data to little more than two such amounts, plus
    /// one for every other thread.
    static constexpr unsigned write_back_flags = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE;

    /// Makes all earlier writes durable. After a failure everything since the last success is suspect, and the kernel
    /// reports a lost page only once, so every later flush of this object fails with the same error. Its offset and
    /// length are those of the range that spans all writes since the last success.
    [[nodiscard]] virtual result<void, io_error> flush() = 0;
    /// After a failed flush: lets later ones succeed again, because nothing depends on the writes before it. No write
    /// may be under way.
    virtual void forget_failed_flush() {}

    /// Like read(), but reads from the medium, not from memory that holds the written data: past the page cache if the
    /// file system allows it. Used to verify.
    [[nodiscard]] virtual result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) = 0;
};

} // namespace seedbed
