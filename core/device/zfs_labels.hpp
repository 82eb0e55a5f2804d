#pragma once

#include <cstdint>
#include <vector>

#include "core/foundation/error.hpp"

namespace seedbed {

/// One of the four labels of a ZFS volume: two at the start of the device, two at its end. Each describes the whole
/// pool. The layout is that of vdev_label_t in OpenZFS's include/sys/vdev_impl.h.
struct zfs_label {
    static constexpr std::int64_t size = 256LL * 1024; ///< bytes; the labels at the end are aligned to it
    std::int64_t offset = 0;                           ///< bytes, from the start of the device

    /// The description of the pool and the uberblocks: all of the label but its first 16 KiB, which ZFS keeps free for
    /// boot blocks.
    [[nodiscard]] constexpr std::int64_t area_offset() const noexcept { return offset + 16LL * 1024; }
    static constexpr std::int64_t area_length = 240LL * 1024; ///< bytes
    /// The magic number at the end of the description. A cache device or a spare has one, and no uberblock.
    [[nodiscard]] constexpr std::int64_t magic_offset() const noexcept { return offset + 128LL * 1024 - 40; }
    static constexpr std::int64_t magic_length = 8; ///< bytes

    [[nodiscard]] constexpr bool contains(std::int64_t at) const noexcept { return at >= offset && at < offset + size; }
};

/// The places of the labels on a device of \p device_size bytes; none if it is too small for ZFS.
[[nodiscard]] std::vector<zfs_label> zfs_labels(std::int64_t device_size);

/// Whether a label describes a pool, in either byte order. \param fd of the device; read through the page cache.
/// \return false also at the end of the device; the error is errno. Threads: any; blocks.
[[nodiscard]] result<bool, int> describes_pool(int fd, zfs_label label);

} // namespace seedbed
