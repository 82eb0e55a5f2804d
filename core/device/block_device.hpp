#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/foundation/error.hpp"

namespace seedbed {

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

    /// Makes everything written before durable. After a failure everything since the last success is suspect, and the
    /// kernel reports a lost page once: so every later flush of this object fails with the same error. Its offset and
    /// length are those of the range around all that was written since the last success.
    [[nodiscard]] virtual result<void, io_error> flush() = 0;

    /// As read(), but from the medium and not from memory that holds what was written: past the page cache where the
    /// file system allows it. Used to verify.
    [[nodiscard]] virtual result<void, io_error> read_medium(std::int64_t offset, std::span<std::byte> buffer) = 0;
};

} // namespace seedbed
