#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/foundation/unique_fd.hpp"

namespace seedbed {

/// Reads a device or a file from the medium, not from the page cache. Used to verify.
///
/// Uses direct I/O if it is available; otherwise, first drops the cached pages of the range. Dirty pages cannot be
/// dropped, so the caller must flush before.
///
/// Threads: read() may be called from any thread, also concurrently.
class medium_reader {
public:
    /// \param fd remains the caller's, and must stay open for the lifetime of this object.
    /// \param size in bytes.
    /// \param logical_block the alignment that direct I/O requires, in bytes; a power of two.
    medium_reader(int fd, std::int64_t size, int logical_block);

    /// Fills \p buffer from \p offset (bytes). Neither needs any alignment. Keeps 1 MiB for each calling thread.
    /// \return 0 or an errno value; EIO if the range is not within the size.
    [[nodiscard]] int read(std::int64_t offset, std::span<std::byte> buffer);

    /// False if direct I/O was refused; cached pages are then dropped instead.
    [[nodiscard]] bool bypasses_cache() const noexcept { return m_direct.load(std::memory_order_relaxed); }

private:
    [[nodiscard]] int read_direct(std::int64_t offset, std::span<std::byte> part) const;
    [[nodiscard]] int read_dropping_cache(std::int64_t offset, std::span<std::byte> part) const;

    int m_fd;
    unique_fd m_direct_fd; ///< the same file, opened a second time with O_DIRECT
    std::int64_t m_size;
    std::int64_t m_logical_block;
    std::int64_t m_alignment;
    std::atomic<bool> m_direct;
};

} // namespace seedbed
