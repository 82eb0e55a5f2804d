#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"
#include "core/image/chunk_transfer.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_writer.hpp"

namespace seedbed {

enum class rebuilt_piece : std::uint8_t {
    equal,       ///< it is that of the torrent
    other_bytes, ///< the device holds other bytes by now
    other_frames ///< the device holds the right bytes, but another version or level of zstd has packed the image
};

/// The level with which the chunks of an image were compressed; older images do not state it, and most have level 1.
[[nodiscard]] int packing_level(packed_image const& image) noexcept;

/// Rebuilds a piece from the chunks on a device. The same version of zstd makes the same bytes from the same chunks;
/// the SHA-1 shows whether it did.
///
/// \param packer of packing_level(). \param buffer for the raw bytes. \param piece room for all of its bytes; undefined
/// unless the result is `equal`. Throws std::bad_alloc. Threads: any that may block.
[[nodiscard]] result<rebuilt_piece, io_error> rebuild_piece(packed_image const& image, piece_index number,
                                                            block_device& device, chunk_placement const& placement,
                                                            chunk_source from, chunk_packer& packer, raw_buffer& buffer,
                                                            std::span<std::byte> piece);

} // namespace seedbed
