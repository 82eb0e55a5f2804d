#include "core/backend/image_io.hpp"

#include <algorithm>
#include <utility>

#include "core/device/uring_io_queue.hpp"

namespace seedbed {

namespace {

/// \p bytes in whole blocks, rounded down, at least one.
std::int32_t to_blocks(std::int64_t bytes) {
    return static_cast<std::int32_t>(std::max<std::int64_t>(bytes / block_size, 1));
}

/// The maximum number of blocks in one write.
std::int32_t most_blocks(io_profile const& profile) {
    return profile.coalesce > block_size ? to_blocks(profile.coalesce) * profile.backlog_runs : 1;
}

write_coalescer::policy policy_of(io_profile const& profile) {
    return {to_blocks(profile.coalesce), profile.coalesce > block_size ? profile.delay : std::chrono::milliseconds(0)};
}

} // namespace

image_io::image_io(image_device& image, std::uint32_t number, piece_cache& cache, io_profile const& profile,
                   engine_options options)
    : m_image(image)
    , m_number(number)
    , m_cache(cache)
    , m_options(std::move(options))
    , m_coalescer(image.torrent().piece_count, (image.torrent().piece_length + block_size - 1) / block_size,
                  image.blocks_in_piece(piece_index{image.torrent().piece_count - 1}), policy_of(profile))
    , m_read_ahead(to_blocks(profile.read_ahead))
    , m_coalesce(to_blocks(profile.coalesce))
    , m_most(most_blocks(profile))
    , m_delay(policy_of(profile).delay)
    , m_elevator(profile.elevator)
    , m_has_padding(std::ranges::any_of(image.torrent().extents.extents(),
                                        [](extent const& each) { return each.device_offset == extent::padding; })) {
    reserve_batches(profile);
    if (wants_ring(image.writable_device(), profile)) {
        if (auto ring = make_uring_io_queue(image.writable_device(), profile, m_options.registered_memory)) {
            m_queue = std::move(*ring);
        } else {
            m_ring_refused = ring.error();
        }
    }
    if (!m_queue) {
        m_queue = make_thread_io_queue(image.writable_device(), profile);
    }
}

image_io::~image_io() {
    m_queue.reset();
    m_cache.drop_clean(m_number);
}

void image_io::reserve_batches(io_profile const& profile) {
    m_batches.reserve(static_cast<std::size_t>(std::max(profile.threads, profile.queue_depth)), most_blocks(profile));
}

void image_io::set_profile(io_profile const& profile) {
    reserve_batches(profile);
    m_coalescer.set_policy(policy_of(profile));
    m_read_ahead.store(to_blocks(profile.read_ahead), std::memory_order_relaxed);
    m_coalesce.store(to_blocks(profile.coalesce), std::memory_order_relaxed);
    m_most.store(most_blocks(profile), std::memory_order_relaxed);
    m_delay.store(policy_of(profile).delay, std::memory_order_relaxed);
    m_elevator.store(profile.elevator, std::memory_order_relaxed);
    m_queue->set_profile(profile);
}

void image_io::hand_out(waiter_list waiters, io_error const* failed) noexcept {
    while (!waiters.empty()) {
        // The waiters of one session are mostly adjacent: return them together.
        auto* const sink = static_cast<io_waiter*>(waiters.first)->sink;
        waiter_list same;
        while (!waiters.empty() && static_cast<io_waiter*>(waiters.first)->sink == sink) {
            same.push(waiters.pop());
        }
        sink->deliver(same, failed);
    }
}

} // namespace seedbed
