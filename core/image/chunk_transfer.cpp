#include "core/image/chunk_transfer.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string>
#include <utility>

#include <linux/fs.h>

#include "core/image/kernel_range.hpp"

namespace seedbed {

namespace {

constexpr std::int64_t medium_step = packed_limits::chunk;
/// Bytes to zero in one system call: the work can be ended between two.
constexpr std::int64_t zero_step = 64 * medium_step;

/// \return 0 if the kernel has zeroed the range, otherwise an errno; EOPNOTSUPP if it cannot.
int zero_by_kernel(block_device& device, std::int64_t offset, std::int64_t length) {
    auto const range = prepare_kernel_range(device, offset, length);
    if (!range) {
        return range.error();
    }
    return range->is_block_device ? range->control(BLKZEROOUT) : EOPNOTSUPP;
}

/// The range that begins at or before an offset; nothing if none does.
moved_range const* range_before(std::vector<moved_range> const& ranges, device_offset offset) {
    auto const after = std::ranges::upper_bound(ranges, offset.value(), {}, &moved_range::start);
    return after == ranges.begin() ? nullptr : &*(after - 1);
}

/// Chunks that are adjacent on the device, and so in memory; or one chunk of zeros.
struct chunk_run {
    device_offset offset;
    std::int64_t length = 0; ///< bytes of the device
    bool zeros = false;
};

/// Calls \p transfer with each run of the chunks, until it fails or returns false.
template <class Transfer>
result<void, io_error> for_each_run(chunk_placement const& placement, std::span<packed_chunk const> chunks,
                                    Transfer const& transfer) {
    while (!chunks.empty()) {
        auto const& first = chunks.front();
        chunk_run run{placement.of(first), first.raw_length, first.method == chunk_method::zero};
        std::size_t count = 1;
        while (!run.zeros && count < chunks.size() && chunks[count].method != chunk_method::zero &&
               placement.of(chunks[count]) == run.offset + byte_count{run.length}) {
            run.length += chunks[count++].raw_length;
        }
        result<bool, io_error> const done = transfer(run);
        if (!done) {
            return tl::unexpected(done.error());
        }
        if (!*done) {
            return {};
        }
        chunks = chunks.subspan(count);
    }
    return {};
}

/// Takes the next \p count bytes from the front of \p bytes.
template <class Byte>
std::span<Byte> take_front(std::span<Byte>& bytes, std::int64_t count) {
    auto const taken = bytes.first(static_cast<std::size_t>(count));
    bytes = bytes.subspan(taken.size());
    return taken;
}

/// \return whether to continue.
result<bool, io_error> write_zero_run(block_device& device, chunk_run const& run, transfer_step const& step) {
    for (std::int64_t at = 0; at < run.length; at += zero_step) {
        auto const length = std::min(zero_step, run.length - at);
        if (auto const written = write_zeros(device, (run.offset + byte_count{at}).value(), length); !written) {
            return tl::unexpected(written.error());
        }
        if (!step(length)) {
            return false;
        }
    }
    return true;
}

} // namespace

result<chunk_placement> chunk_placement::make(packed_image const& image, std::vector<moved_range> ranges) {
    chunk_placement placement;
    placement.m_ranges = std::move(ranges);
    for (auto const& chunk : image.index.chunks()) {
        auto const* const range = range_before(placement.m_ranges, chunk.offset);
        if (range == nullptr || chunk.end().value() > range->start + range->size) {
            return tl::unexpected(error{"the bytes " + std::to_string(chunk.offset.value()) + " to " +
                                        std::to_string(chunk.end().value()) + " lie in no partition of its layout"});
        }
    }
    return placement;
}

device_offset chunk_placement::of(packed_chunk const& chunk) const noexcept {
    auto const* const range = range_before(m_ranges, chunk.offset);
    return range == nullptr ? chunk.offset : chunk.offset + byte_count{range->shift};
}

std::span<std::byte> raw_buffer::of_size(std::int64_t size) {
    auto const wanted = static_cast<std::size_t>(std::max<std::int64_t>(size, 1));
    if (!m_memory || m_memory->size() < wanted) {
        m_memory.reset();
        m_memory = std::make_unique<lazy_array<std::byte>>(wanted);
    }
    return {&(*m_memory)[0], static_cast<std::size_t>(size)};
}

result<void, io_error> write_chunks(block_device& device, chunk_placement const& placement,
                                    std::span<packed_chunk const> chunks, std::span<std::byte const> raw,
                                    transfer_step const& step) {
    return for_each_run(placement, chunks, [&](chunk_run const& run) -> result<bool, io_error> {
        if (run.zeros) {
            return write_zero_run(device, run, step);
        }
        return device.write(run.offset.value(), take_front(raw, run.length)).map([&] { return step(run.length); });
    });
}

result<void, io_error> read_chunks(block_device& device, chunk_placement const& placement,
                                   std::span<packed_chunk const> chunks, std::span<std::byte> raw, chunk_source from,
                                   transfer_step const& step) {
    return for_each_run(placement, chunks, [&](chunk_run const& run) -> result<bool, io_error> {
        if (run.zeros) {
            return true;
        }
        auto const to = take_front(raw, run.length);
        auto const read = from == chunk_source::medium ? device.read_medium(run.offset.value(), to)
                                                       : device.read(run.offset.value(), to);
        return read.map([&] { return step(run.length); });
    });
}

result<bool, io_error> chunk_is_on_medium(block_device& device, chunk_placement const& placement,
                                          packed_chunk const& chunk, std::span<std::byte> buffer,
                                          transfer_step const& step,
                                          std::function<void(std::int64_t, std::span<std::byte>)> const& correct) {
    bool equal = true;
    auto const offset = placement.of(chunk).value();
    for (std::int64_t at = 0; at < chunk.raw_length; at += medium_step) {
        auto const part = buffer.first(static_cast<std::size_t>(std::min(medium_step, chunk.raw_length - at)));
        if (auto const read = device.read_medium(offset + at, part); !read) {
            return tl::unexpected(read.error());
        }
        if (correct) {
            correct(offset + at, part);
        }
        equal = equal && (chunk.method == chunk_method::zero ? is_zero(part) : digest_of(part) == chunk.digest);
        if (!step(static_cast<std::int64_t>(part.size()))) {
            break;
        }
    }
    return equal;
}

result<void, io_error> write_zeros(block_device& device, std::int64_t offset, std::int64_t length) {
    auto const code = zero_by_kernel(device, offset, length);
    if (code == 0) {
        return {};
    }
    if (code != EOPNOTSUPP && code != ENOTTY && code != EINVAL) {
        return tl::make_unexpected(
            make_io_error(io_operation::write, device.path(), device_offset{offset}, length, code));
    }
    alignas(4096) static constexpr std::array<std::byte, medium_step> zeros{};
    for (std::int64_t at = 0; at < length; at += medium_step) {
        auto const part = std::span(zeros).first(static_cast<std::size_t>(std::min(medium_step, length - at)));
        if (auto written = device.write(offset + at, part); !written) {
            return written;
        }
    }
    return {};
}

} // namespace seedbed
