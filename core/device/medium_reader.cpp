#include "core/device/medium_reader.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <memory>
#include <string>

#include "core/device/full_transfer.hpp"

namespace seedbed {

namespace {

/// The unit of the page cache, which drops only whole pages.
std::int64_t const page_size = std::max<std::int64_t>(::sysconf(_SC_PAGESIZE), 4096);
constexpr std::int64_t bounce_size = std::int64_t{1} << 20;

struct free_memory {
    void operator()(std::byte* memory) const noexcept { std::free(memory); }
};

/// This thread's aligned buffer of bounce_size bytes, or null if there is no memory.
std::byte* bounce_buffer() {
    thread_local std::unique_ptr<std::byte, free_memory> memory;
    if (!memory) {
        // Aligned to its size, which suits any sector size.
        memory.reset(static_cast<std::byte*>(std::aligned_alloc(bounce_size, bounce_size)));
    }
    return memory.get();
}

std::int64_t round_down(std::int64_t n, std::int64_t unit) {
    return n / unit * unit;
}

std::int64_t round_up(std::int64_t n, std::int64_t unit) {
    return round_down(n + unit - 1, unit);
}

} // namespace

medium_reader::medium_reader(int fd, std::int64_t size, int logical_block)
    // By its number, not by its name, which may mean a different file by now.
    : m_fd(fd)
    , m_direct_fd(::open(("/proc/self/fd/" + std::to_string(fd)).c_str(), O_RDONLY | O_DIRECT | O_CLOEXEC))
    , m_size(size)
    , m_logical_block(logical_block)
    , m_alignment(std::max<std::int64_t>(logical_block, page_size))
    , m_direct(static_cast<bool>(m_direct_fd) && m_alignment <= bounce_size) {}

int medium_reader::read(std::int64_t offset, std::span<std::byte> buffer) {
    if (offset < 0 || offset > m_size || static_cast<std::int64_t>(buffer.size()) > m_size - offset) {
        return EIO;
    }
    while (!buffer.empty()) {
        // As much as a bounce buffer holds, counted from the aligned position before the offset. Without direct I/O,
        // ignore the alignment, which may exceed the buffer.
        std::int64_t const room = bypasses_cache() ? bounce_size - offset % m_alignment : bounce_size;
        std::span<std::byte> const part = buffer.first(std::min(buffer.size(), static_cast<std::size_t>(room)));
        int code = EINVAL;
        if (bypasses_cache()) {
            code = read_direct(offset, part);
            if (code == EINVAL || code == EOPNOTSUPP) {
                m_direct.store(false, std::memory_order_relaxed);
            }
        }
        if (!bypasses_cache()) {
            code = read_dropping_cache(offset, part);
        }
        if (code != 0) {
            return code;
        }
        offset += static_cast<std::int64_t>(part.size());
        buffer = buffer.subspan(part.size());
    }
    return 0;
}

int medium_reader::read_direct(std::int64_t offset, std::span<std::byte> part) const {
    std::byte* const bounce = bounce_buffer();
    if (bounce == nullptr) {
        return ENOMEM;
    }
    std::int64_t const begin = round_down(offset, m_alignment);
    std::int64_t const end = std::min(round_up(offset + static_cast<std::int64_t>(part.size()), m_alignment), m_size);
    auto const pread_blocks = [this](std::byte* to, std::size_t count, std::int64_t at) -> ssize_t {
        // A file may end within a block: the request covers whole blocks, and the end of the file cuts it short.
        auto const blocks = static_cast<std::size_t>(round_up(static_cast<std::int64_t>(count), m_logical_block));
        return std::min(::pread(m_direct_fd.get(), to, blocks, at), static_cast<ssize_t>(count));
    };
    int const code = transfer_fully(pread_blocks, begin, std::span(bounce, static_cast<std::size_t>(end - begin)));
    if (code == 0) {
        std::copy_n(bounce + (offset - begin), part.size(), part.begin());
    }
    return code;
}

int medium_reader::read_dropping_cache(std::int64_t offset, std::span<std::byte> part) const {
    // Only whole pages are dropped.
    std::int64_t const begin = round_down(offset, page_size);
    std::int64_t const end = round_up(offset + static_cast<std::int64_t>(part.size()), page_size);
    if (int const code = ::posix_fadvise(m_fd, begin, end - begin, POSIX_FADV_DONTNEED); code != 0) {
        return code;
    }
    return transfer_fully(
        [this](std::byte* to, std::size_t count, std::int64_t at) { return ::pread(m_fd, to, count, at); }, offset,
        part);
}

} // namespace seedbed
