#include "core/image/unused_parts.hpp"

#include <algorithm>
#include <array>
#include <cerrno>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

namespace seedbed {

namespace {

constexpr std::int64_t unit = 4096;
constexpr std::int64_t kept_at_ends = std::int64_t{1} << 20;

/// \return 0 or an errno.
int discard_by_kernel(raw_device const& raw, std::int64_t offset, std::int64_t length) {
    struct ::stat status = {};
    if (::fstat(raw.cached, &status) != 0) {
        return errno;
    }
    std::array<std::uint64_t, 2> range{static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length)};
    auto const discard = [&] {
        return S_ISBLK(status.st_mode)
                   ? ::ioctl(raw.cached, BLKDISCARD, range.data())
                   : ::fallocate(raw.cached, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length);
    };
    while (discard() != 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

} // namespace

std::vector<extent> unused_parts(std::span<packed_chunk const> chunks, chunk_placement const& placement,
                                 std::int64_t size) {
    std::vector<extent> unused;
    auto const last = size - kept_at_ends;
    auto begin = kept_at_ends;
    auto const add_up_to = [&](std::int64_t end) {
        auto const from = (begin + unit - 1) / unit * unit;
        auto const to = std::min(end, last) / unit * unit;
        if (from < to) {
            unused.push_back({from, to - from});
        }
    };
    for (auto const& chunk : chunks) {
        auto const offset = placement.of(chunk).value();
        add_up_to(offset);
        begin = std::max(begin, offset + chunk.raw_length);
    }
    add_up_to(last);
    return unused;
}

result<void, int> discard_range(block_device& device, std::int64_t offset, std::int64_t length) {
    auto const raw = device.raw();
    if (!raw || device.part_in_memory(offset, length).length > 0) {
        return tl::make_unexpected(EOPNOTSUPP);
    }
    auto code = raw->refuse(true, offset, length);
    if (code == 0) {
        auto const allowed = device.will_write(offset, length);
        code = allowed ? discard_by_kernel(*raw, offset, length) : allowed.error().code;
    }
    return code == 0 ? result<void, int>() : tl::make_unexpected(code);
}

} // namespace seedbed
