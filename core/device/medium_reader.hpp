#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/foundation/unique_fd.hpp"

namespace seedbed {

/// Reads a device or a file from the medium and not from the page cache, for verifying.
///
/// With direct I/O where it is to be had; where the file system refuses that, the cached pages of the range are dropped
/// first. Dirty pages can not be dropped, so that whoever verifies flushes before.
///
/// Threads: read() may be called from any thread, also concurrently.
class medium_reader {
public:
    /// \param fd stays the caller's, and open for as long as this lives.
    /// \param size in bytes.
    /// \param logical_block what direct I/O must be aligned to, in bytes; a power of two.
    medium_reader(int fd, std::int64_t size, int logical_block);

    /// Fills \p buffer from \p offset (bytes). Neither needs any alignment. Keeps 1 MiB for each thread that calls it.
    /// \return 0 or an errno value; EIO where the range is not within the size.
    [[nodiscard]] int read(std::int64_t offset, std::span<std::byte> buffer);

    /// False where direct I/O was refused, and caches are dropped instead.
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
