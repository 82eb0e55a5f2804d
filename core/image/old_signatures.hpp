#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/device/disk_content.hpp"
#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"

namespace seedbed {

/// Whether a byte of a range of the device belongs to the image. \param offset, length in bytes.
[[nodiscard]] bool overlaps(extent_map const& image, std::int64_t offset, std::int64_t length);

/// The signatures whose magic bytes lie completely outside the image: a deployment does not overwrite them.
[[nodiscard]] std::vector<disk_signature> outside_image(std::span<disk_signature const> signatures,
                                                        extent_map const& image);

/// The signatures of which something recognisable would outlast a deployment: those outside_image(), and those with an
/// area that is partly outside.
[[nodiscard]] std::vector<disk_signature> to_wipe(std::span<disk_signature const> signatures, extent_map const& image);

/// Overwrites a signature with zeros, and flushes. Nothing may be written to the device meanwhile. A failure is
/// forgotten: later flushes succeed if the image's own bytes reach the device. \param kept the image whose bytes stay
/// as they are; null: none. Threads: any; blocks.
[[nodiscard]] result<void, io_error> wipe_signature(block_device& device, disk_signature const& signature,
                                                    extent_map const* kept);

} // namespace seedbed
