#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/growth.hpp"
#include "core/foundation/error.hpp"
#include "core/layout/disk_layout.hpp"

namespace seedbed {

/// Where a part of the image goes.
struct moved_range {
    std::int64_t start = 0; ///< on the image's disk, bytes
    std::int64_t size = 0;  ///< bytes
    std::int64_t shift = 0; ///< bytes to add to every offset in the range: whole MiB, 0 or more

    friend bool operator==(moved_range const&, moved_range const&) = default;
};

/// How a layout is placed on one disk.
struct deployment_plan {
    disk_layout target; ///< the layout on that disk; content as in the image
    /// The boot loader's gap and all partitions except an extended one, in the order of their positions in the image.
    /// No part of an image's content lies outside, and a run of bytes within one of them stays one run.
    std::vector<moved_range> ranges;
    int grown = 0;                  ///< number of the partition that is larger than in the image; 0 if none is
    std::int64_t grown_by = 0;      ///< bytes
    std::vector<std::string> notes; ///< effects that the user should know of, one line each
};

/// Plans the deployment of a disk.
///
/// Partitions keep their order. The chosen one grows by whole MiB up to the end of the usable range; those after it
/// move by the same amount, so that all keep their alignment. Nothing else changes. In an MBR, the extended partition
/// grows with a logical one, or moves with all that it holds. An MBR stops at 2^32 sectors.
///
/// \param image valid. \param disk_size, sector_size of the target, bytes. The error says why the disk cannot hold the
/// layout: how many bytes are missing, and which partition would have to shrink; or that the sector sizes differ; or
/// why the chosen partition cannot grow.
[[nodiscard]] result<deployment_plan> plan_deployment(disk_layout const& image, std::int64_t disk_size,
                                                      std::int32_t sector_size, growth const& grow);

/// The plan by which the image's layout was placed on a disk, from the disk's own table: where each partition is, and
/// which one has grown. It compares numbers, roles, types and sizes; ids, names and attributes may be new.
///
/// \param image valid. \param found read from the disk. The error says which part of the layout the disk lacks.
[[nodiscard]] result<deployment_plan> find_deployment(disk_layout const& image, disk_layout const& found);

/// The offset on the target of a byte of the image; nothing if it is in no range. O(log ranges).
[[nodiscard]] std::optional<std::int64_t> target_offset(deployment_plan const& plan, std::int64_t image_offset);

/// Whether this program can grow a file system of this type, as blkid names it. Swap areas are made again, in any size.
[[nodiscard]] bool can_grow(std::string_view file_system) noexcept;

} // namespace seedbed
