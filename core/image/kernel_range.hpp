#pragma once

#include <cstdint>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// A range of a device that the kernel may change by itself: zero or discard it, instead of taking its bytes.
struct kernel_range {
    int fd = -1; ///< the device's
    bool is_block_device = false;
    std::int64_t offset = 0; ///< bytes
    std::int64_t length = 0; ///< bytes

    /// \param request of a block device: BLKZEROOUT or BLKDISCARD. \return 0 or an errno.
    [[nodiscard]] int control(unsigned long request) const;
    /// Makes a hole in a regular file. \return 0 or an errno.
    [[nodiscard]] int punch_hole() const;
};

/// Announces the change to the device, as before a write. The error is an errno: EOPNOTSUPP if the device has no
/// descriptor or keeps some of the range in memory. Threads: any that may block.
[[nodiscard]] result<kernel_range, int> prepare_kernel_range(block_device& device, std::int64_t offset,
                                                             std::int64_t length);

} // namespace seedbed
