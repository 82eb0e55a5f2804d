#pragma once

#include <sys/types.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>

#include "core/device/direct_io.hpp"

namespace seedbed {

/// Repeats \p call until all of \p buffer is transferred: continues short transfers and retries EINTR.
///
/// \param call as pread and pwrite without the descriptor: (pointer, count, offset) -> bytes or -1 with errno.
/// \return 0, or errno of the call that failed; EIO if a call made no progress, which happens at the end of a device.
template <class Byte, class Call>
[[nodiscard]] int transfer_fully(Call&& call, std::int64_t offset, std::span<Byte> buffer) {
    while (!buffer.empty()) {
        ssize_t const n = call(buffer.data(), buffer.size(), offset);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        if (n == 0) {
            return EIO;
        }
        buffer = buffer.subspan(static_cast<std::size_t>(n));
        offset += n;
    }
    return 0;
}

/// The same for the bytes of \p memory, one range after another.
///
/// \param call as preadv and pwritev without the descriptor: (ranges, number, offset) -> bytes or -1 with errno.
template <class Call>
[[nodiscard]] int transfer_fully(Call&& call, std::int64_t offset, std::int64_t length, memory_cursor memory) {
    std::array<iovec, 1024> pieces; // IOV_MAX on Linux
    while (length > 0) {
        auto const count = memory.peek(length, pieces);
        ssize_t const n = call(pieces.data(), static_cast<int>(count), offset);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno;
        }
        if (n == 0) {
            return EIO;
        }
        memory.skip(n);
        offset += n;
        length -= n;
    }
    return 0;
}

} // namespace seedbed
