#include "core/image/unused_parts.hpp"

#include <algorithm>

#include <linux/fs.h>

#include "core/image/kernel_range.hpp"

namespace seedbed {

namespace {

constexpr std::int64_t unit = 4096;
constexpr std::int64_t kept_at_ends = std::int64_t{1} << 20;

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
    auto const range = prepare_kernel_range(device, offset, length);
    if (!range) {
        return tl::make_unexpected(range.error());
    }
    auto const code = range->is_block_device ? range->control(BLKDISCARD) : range->punch_hole();
    return code == 0 ? result<void, int>() : tl::make_unexpected(code);
}

} // namespace seedbed
