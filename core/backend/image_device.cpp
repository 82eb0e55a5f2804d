#include "core/backend/image_device.hpp"

#include <algorithm>
#include <utility>

#include "core/cache/block_pool.hpp"
#include "core/foundation/retry_on_bad_alloc.hpp"

namespace seedbed {

image_device::image_device(image_torrent torrent, std::unique_ptr<block_device> device)
    : m_torrent(std::move(torrent))
    , m_device(std::move(device))
    , m_packed(dynamic_cast<packed_target*>(m_device.get()))
    , m_ends(dynamic_cast<ends_last_device*>(&storage()))
    , m_end_pieces(pieces_in_ends()) {}

result<extent_map> image_device::stored_extents() const {
    return m_packed != nullptr ? m_packed->extents() : m_torrent.extents;
}

std::int64_t image_device::stored_size(piece_index piece) const {
    if (m_packed == nullptr) {
        return piece_size(piece);
    }
    std::int64_t size = 0;
    for (auto const& chunk : m_packed->image().index.chunks_of(piece)) {
        size += chunk.raw_length;
    }
    return size;
}

std::int64_t image_device::stored_bytes() const noexcept {
    return m_packed != nullptr ? m_packed->image().index.used().value() : m_torrent.extents.total_size();
}

std::vector<extent> image_device::stored_slices(piece_index piece) const {
    if (m_packed != nullptr) {
        return m_packed->extents_of(piece);
    }
    std::vector<extent> slices;
    m_torrent.extents.for_each_slice(stream_offset(piece, 0), piece_size(piece), [&slices](extent const& slice) {
        if (slice.device_offset != extent::padding) {
            slices.push_back(slice);
        }
    });
    return slices;
}

std::vector<piece_index> image_device::pieces_in_ends() const {
    std::vector<piece_index> pieces;
    auto const touches = [this](extent const& slice) { return m_ends->touches(slice.device_offset, slice.length); };
    for (piece_index piece{0}; m_ends != nullptr && piece.value() < m_torrent.piece_count; ++piece) {
        if (std::ranges::any_of(stored_slices(piece), touches)) {
            pieces.push_back(piece);
        }
    }
    return pieces;
}

void image_device::remove_ends(std::vector<bool>& pieces) const {
    for (auto const piece : m_end_pieces) {
        pieces[static_cast<std::size_t>(piece.value())] = false;
    }
}

device_offset image_device::on_device(torrent_offset at) const {
    device_offset found;
    m_torrent.extents.for_each_slice(at, 1, [&](extent const& slice) {
        found = device_offset{slice.device_offset == extent::padding ? 0 : slice.device_offset};
    });
    return found;
}

std::int32_t image_device::piece_size(piece_index piece) const noexcept {
    auto const begin = stream_offset(piece, 0);
    auto const left = m_torrent.extents.total_size() - begin.value();
    return static_cast<std::int32_t>(std::clamp<std::int64_t>(left, 0, m_torrent.piece_length));
}

std::int32_t image_device::blocks_in_piece(piece_index piece) const noexcept {
    return (piece_size(piece) + block_size - 1) / block_size;
}

namespace {

/// Visits the slices of a range as (extent, bytes of the buffer), until \p transfer fails.
template <class Byte, class Transfer>
result<void, io_error> for_each_part(extent_map const& extents, torrent_offset begin, std::span<Byte> buffer,
                                     Transfer const& transfer) {
    result<void, io_error> outcome;
    std::size_t done = 0;
    extents.for_each_slice(begin, static_cast<std::int64_t>(buffer.size()), [&](extent const& slice) {
        auto const part = buffer.subspan(done, static_cast<std::size_t>(slice.length));
        done += part.size();
        if (outcome) {
            outcome = transfer(slice, part);
        }
    });
    return outcome;
}

} // namespace

result<void, io_error> image_device::read_medium(torrent_offset begin, std::span<std::byte> target) {
    return for_each_part(m_torrent.extents, begin, target,
                         [this](extent const& slice, std::span<std::byte> part) -> result<void, io_error> {
                             if (slice.device_offset == extent::padding) {
                                 std::ranges::fill(part, std::byte{0});
                                 return {};
                             }
                             m_bytes_read.fetch_add(slice.length, std::memory_order_relaxed);
                             return m_device->read_medium(slice.device_offset, part);
                         });
}

std::optional<io_error> image_device::write_failure() const noexcept {
    std::scoped_lock const lock(m_error_mutex);
    return m_write_error ? std::optional(copy_of(*m_write_error)) : std::nullopt;
}

bool image_device::forget_write_failure() noexcept {
    std::scoped_lock const lock(m_error_mutex);
    if (!m_write_error || m_write_error->operation == io_operation::flush) {
        return false;
    }
    m_write_error.reset();
    return true;
}

result<void, io_error> image_device::flush() {
    return unless_failed([this] { return m_device->flush(); });
}

result<void, io_error> image_device::complete() {
    return unless_failed([this] { return m_ends != nullptr ? m_ends->write_ends() : m_device->flush(); });
}

result<void, io_error> image_device::unless_failed(std::function<result<void, io_error>()> const& flush) {
    {
        std::scoped_lock const lock(m_error_mutex);
        if (m_write_error) {
            return tl::unexpected(*m_write_error);
        }
    }
    auto outcome = flush();
    if (!outcome) {
        fail_writes(outcome.error());
    }
    return outcome;
}

void image_device::fail_writes(io_error const& error) noexcept {
    {
        std::scoped_lock const lock(m_error_mutex);
        if (!m_write_error || error.operation == io_operation::flush) {
            m_write_error = copy_of(error);
        }
    }
    report(error);
}

void image_device::report(io_error const& error) noexcept {
    if (error.code == piece_withdrawn) {
        return;
    }
    {
        std::scoped_lock const lock(m_error_mutex);
        if (m_first_error) {
            return;
        }
        m_first_error = copy_of(error);
    }
    if (m_on_error) {
        retry_on_bad_alloc([&] { m_on_error(error); });
    }
}

std::optional<io_error> image_device::first_error() const {
    std::scoped_lock const lock(m_error_mutex);
    return m_first_error;
}

} // namespace seedbed
