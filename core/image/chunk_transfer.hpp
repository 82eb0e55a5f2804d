#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/lazy_array.hpp"
#include "core/foundation/strong.hpp"
#include "core/image/packed_chunk.hpp"
#include "core/image/packed_image.hpp"
#include "core/layout/growth_plan.hpp"

namespace seedbed {

// Transfers of the chunks of a packed image between memory and a device.

/// Where the chunks of a disk's image go: those of a partition move with it.
///
/// Immutable; every member may be called from any thread.
class chunk_placement {
public:
    /// Each chunk stays at its offset.
    chunk_placement() = default;
    /// \param ranges as deployment_plan has them, in ascending order. Fails if a chunk of the image is in none of them,
    /// or in two.
    [[nodiscard]] static result<chunk_placement> make(packed_image const& image, std::vector<moved_range> ranges);

    /// The offset of a chunk on the target. O(log ranges).
    [[nodiscard]] device_offset of(packed_chunk const& chunk) const noexcept;

private:
    std::vector<moved_range> m_ranges;
};

/// Memory that grows and is aligned for direct I/O.
///
/// Threads: confined to one.
class raw_buffer {
public:
    /// Its content is undefined. Throws std::bad_alloc.
    [[nodiscard]] std::span<std::byte> of_size(std::int64_t size);

private:
    std::unique_ptr<lazy_array<std::byte>> m_memory;
};

/// Called after each part of a transfer with its number of bytes; false ends the transfer early, without an error.
using transfer_step = std::function<bool(std::int64_t bytes)>;

/// Writes the chunks of a piece, adjacent ones at once. Chunks of zeros are written, too.
/// \param raw the bytes of the chunks, except those of zeros, one after another; aligned for direct I/O.
[[nodiscard]] result<void, io_error> write_chunks(block_device& device, chunk_placement const& placement,
                                                  std::span<packed_chunk const> chunks, std::span<std::byte const> raw,
                                                  transfer_step const& step);

/// Where read_chunks() reads from.
enum class chunk_source : std::uint8_t {
    device, ///< block_device::read()
    medium  ///< block_device::read_medium()
};

/// The inverse, except that chunks of zeros are not read. \param raw room for their bytes.
[[nodiscard]] result<void, io_error> read_chunks(block_device& device, chunk_placement const& placement,
                                                 std::span<packed_chunk const> chunks, std::span<std::byte> raw,
                                                 chunk_source from, transfer_step const& step);

/// Whether the medium holds a chunk, compared by its XXH3. Undefined if \p step ended it early.
/// \param buffer at least packed_limits::chunk bytes, aligned for direct I/O. \param correct called with bytes of the
/// device and their offset before they are compared; may be empty.
[[nodiscard]] result<bool, io_error>
chunk_is_on_medium(block_device& device, chunk_placement const& placement, packed_chunk const& chunk,
                   std::span<std::byte> buffer, transfer_step const& step,
                   std::function<void(std::int64_t offset, std::span<std::byte> bytes)> const& correct = {});

/// Writes zeros: has the kernel zero a block device's range, or writes them.
[[nodiscard]] result<void, io_error> write_zeros(block_device& device, std::int64_t offset, std::int64_t length);

} // namespace seedbed
