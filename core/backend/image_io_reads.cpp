// image_io: reading.

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

#include "core/backend/image_io.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"

namespace seedbed {

namespace {

/// Read-ahead may fill 1/read_ahead_share of the pool at a time, so that many peers reading many pieces do not evict
/// each other's blocks before they are sent.
constexpr std::int64_t read_ahead_share = 4;
/// Each read takes at most 1/read_ahead_part of what is left of that share, so that read-ahead shrinks gradually.
constexpr std::int64_t read_ahead_part = 4;
/// But no less than this, in blocks: 256 KiB, below which requests cost more than they gain.
constexpr std::int64_t least_read_ahead = 16;

io_error no_memory(image_device const& image, piece_index piece, std::int32_t block) noexcept {
    return make_io_error(io_operation::read, image.device().path(),
                         image.on_device(image.stream_offset(piece, block * block_size)), block_size, ENOMEM);
}

} // namespace

read_answer image_io::read_block(piece_index piece, std::int32_t block, io_waiter& waiter, block_ref& found) noexcept {
    auto ahead = m_read_ahead.load(std::memory_order_relaxed);
    // Blocks that may not be kept until a peer requests them are not worth reading.
    auto const share = m_cache.capacity() / read_ahead_share;
    auto const left = std::max((share - m_cache.filling()) / read_ahead_part, std::min(least_read_ahead, share));
    ahead = static_cast<std::int32_t>(std::clamp<std::int64_t>(std::min(left, m_cache.clean_limit()), 1, ahead));
    auto const begin = block / ahead * ahead;
    return read_block(piece, block, begin, std::min(begin + ahead, m_image.blocks_in_piece(piece)), waiter, found,
                      true);
}

read_answer image_io::read_block(piece_index piece, std::int32_t block, std::int32_t begin, std::int32_t end,
                                 io_waiter& waiter, block_ref& found, bool uses) noexcept {
    thread_local piece_cache::fill wanted; // reuses its memory for every read
    waiter.wanted_piece = piece;
    waiter.wanted_block = block;
    try {
        switch (m_cache.read({m_number, piece, block}, begin, end, &waiter, found, wanted, uses, waiter.share)) {
        case piece_cache::lookup::hit:
            return read_answer::there;
        case piece_cache::lookup::waiting:
            return read_answer::later;
        case piece_cache::lookup::no_memory:
            return read_answer::no_memory;
        case piece_cache::lookup::must_fill:
            start_fill(wanted);
            return read_answer::later;
        }
    } catch (std::bad_alloc const&) {
        waiter_list alone;
        alone.push(&waiter);
        auto const failed = no_memory(m_image, piece, block);
        hand_out(alone, &failed);
    }
    return read_answer::later;
}

void image_io::start_fill(piece_cache::fill& wanted) noexcept {
    auto const first = wanted.first;
    auto& job = m_fills.take();
    job.begin(wanted, m_image.on_device(m_image.stream_offset(first.piece, first.block * block_size)));
    retry_on_bad_alloc([&] { m_queue->submit(&job); });
}

void image_io::end_fill(fill_job& done, result<void, io_error> const& outcome) noexcept {
    auto const blocks = done.fill.blocks.size();
    auto waiters = m_cache.end_fill(done.fill, outcome.has_value());
    done.fill.blocks.clear();
    m_cache.trim(); // the pool may have exceeded its size
    if (outcome) {
        std::int64_t bytes = 0;
        for (auto const& segment : done.segments()) {
            bytes += segment.length;
        }
        m_image.count_read(bytes);
    }
    m_fills.give_back(done);
    if (outcome) {
        hand_out(waiters, nullptr);
    } else if (blocks == 1) {
        m_image.report(outcome.error());
        hand_out(waiters, &outcome.error());
    } else {
        read_alone(waiters);
    }
    if (m_options.on_freed) {
        m_options.on_freed();
    }
}

void image_io::read_alone(waiter_list waiters) noexcept {
    while (!waiters.empty()) {
        auto& waiter = static_cast<io_waiter&>(*waiters.pop());
        waiter.share = memory_share::any; // its memory was released just now
        auto const piece = waiter.wanted_piece;
        auto const block = waiter.wanted_block;
        block_ref found;
        auto const answer = read_block(piece, block, block, block + 1, waiter, found, true);
        if (answer == read_answer::later) {
            continue;
        }
        waiter.block = std::move(found);
        auto const failed = no_memory(m_image, piece, block);
        waiter_list one;
        one.push(&waiter);
        hand_out(one, answer == read_answer::there ? nullptr : &failed);
    }
}

} // namespace seedbed
