#include "core/backend/image_storage.hpp"

#include <algorithm>
#include <cstring>
#include <utility>

#include "core/backend/piece_hasher.hpp"
#include "core/foundation/persist.hpp"

namespace seedbed {

image_storage::image_storage(image_torrent torrent, std::unique_ptr<block_device> device, io_profile const& profile)
    : m_torrent(std::move(torrent))
    , m_device(std::move(device))
    , m_profile(profile)
    , m_hashed(m_torrent.piece_count)
    , m_calls("disk-calls", 1) {}

void image_storage::attach(std::uint32_t number, piece_cache& cache, engine_options options) {
    m_io = std::make_unique<image_io>(*this, number, cache, m_profile, std::move(options));
}

image_storage::~image_storage() = default;

void image_storage::start_hasher(std::shared_ptr<image_storage> const& self, worker_pool& workers,
                                 hasher_options options) {
    m_hasher = std::make_unique<piece_hasher>(self, workers, options);
}

worker_pool::progress image_storage::progress() const {
    auto const calls = m_calls.current_progress();
    if (!m_io) {
        return calls;
    }
    auto const transfers = m_io->progress();
    return {calls.completed + transfers.completed, calls.pending + transfers.pending,
            std::min(calls.stalled_since, transfers.stalled_since)};
}

std::int64_t image_storage::device_offset(std::int64_t stream_offset) const {
    std::int64_t offset = 0;
    m_torrent.extents.for_each_slice(stream_offset, 1, [&](extent const& slice) {
        offset = slice.device_offset == extent::padding ? 0 : slice.device_offset;
    });
    return offset;
}

std::int32_t image_storage::piece_size(std::int32_t piece) const noexcept {
    auto const begin = stream_offset(piece, 0);
    auto const left = m_torrent.extents.total_size() - begin;
    return static_cast<std::int32_t>(std::clamp<std::int64_t>(left, 0, m_torrent.piece_length));
}

void image_storage::set_profile(io_profile const& profile) {
    m_profile = profile;
    if (m_io) {
        m_io->set_profile(profile);
    }
}

namespace {

/// Visits the slices of a range as (extent, bytes of the buffer), until \p transfer fails.
template <class Byte, class Transfer>
result<void, io_error> for_each_part(extent_map const& extents, std::int64_t stream_offset, std::span<Byte> buffer,
                                     Transfer const& transfer) {
    result<void, io_error> outcome;
    std::size_t done = 0;
    extents.for_each_slice(stream_offset, static_cast<std::int64_t>(buffer.size()), [&](extent const& slice) {
        auto const part = buffer.subspan(done, static_cast<std::size_t>(slice.length));
        done += part.size();
        if (outcome) {
            outcome = transfer(slice, part);
        }
    });
    return outcome;
}

} // namespace

result<void, io_error> image_storage::read_medium(std::int64_t stream_offset, std::span<std::byte> target) {
    return for_each_part(m_torrent.extents, stream_offset, target,
                         [this](extent const& slice, std::span<std::byte> part) -> result<void, io_error> {
                             if (slice.device_offset == extent::padding) {
                                 std::ranges::fill(part, std::byte{0});
                                 return {};
                             }
                             m_bytes_read.fetch_add(slice.length, std::memory_order_relaxed);
                             return m_device->read_medium(slice.device_offset, part);
                         });
}

std::optional<io_error> image_storage::write_failure() const noexcept {
    std::scoped_lock const lock(m_error_mutex);
    return m_write_error ? std::optional(copy_of(*m_write_error)) : std::nullopt;
}

result<void, io_error> image_storage::flush() {
    {
        std::scoped_lock const lock(m_error_mutex);
        if (m_write_error) {
            return tl::unexpected(*m_write_error);
        }
    }
    auto outcome = m_device->flush();
    if (!outcome) {
        fail_writes(outcome.error());
    }
    return outcome;
}

void image_storage::fail_writes(io_error const& error) noexcept {
    {
        std::scoped_lock const lock(m_error_mutex);
        if (!m_write_error) {
            m_write_error = copy_of(error);
        }
    }
    report(error);
}

void image_storage::report(io_error const& error) noexcept {
    {
        std::scoped_lock const lock(m_error_mutex);
        if (m_first_error) {
            return;
        }
        m_first_error = copy_of(error);
    }
    if (m_on_error) {
        persist([&] { m_on_error(error); });
    }
}

std::optional<io_error> image_storage::first_error() const {
    std::scoped_lock const lock(m_error_mutex);
    return m_first_error;
}

} // namespace seedbed
