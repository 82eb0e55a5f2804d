#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/image/chunk_transfer.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/packed_chunk.hpp"

namespace seedbed {

/// The parts of a device that a packed image does not use and that may be discarded, in whole blocks of 4 KiB. Not in
/// the first and in the last MiB: signatures of earlier content are erased there, and a device may return what it held
/// before for bytes that were discarded.
///
/// \param chunks of the whole image, in order. \param size of the device in bytes.
[[nodiscard]] std::vector<extent> unused_parts(std::span<packed_chunk const> chunks, chunk_placement const& placement,
                                               std::int64_t size);

/// Tells a device that a range is not needed any more, whose bytes are undefined from then on: has the kernel discard
/// it on a block device (BLKDISCARD), makes a hole in a regular file. The error is an errno: EOPNOTSUPP if the device
/// cannot.
///
/// \param offset, length whole blocks of 4 KiB within the device. Threads: any that may block; large ranges take
/// seconds.
[[nodiscard]] result<void, int> discard_range(block_device& device, std::int64_t offset, std::int64_t length);

} // namespace seedbed
