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

/// The signatures that lie completely outside the image: a deployment does not overwrite them.
[[nodiscard]] std::vector<disk_signature> outside_image(std::span<disk_signature const> signatures,
                                                        extent_map const& image);

/// Overwrites the signatures with zeros, then flushes if there were any. Threads: any; blocks.
[[nodiscard]] result<void, io_error> wipe_signatures(block_device& device, std::span<disk_signature const> signatures);

} // namespace seedbed
