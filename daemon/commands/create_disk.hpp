#pragma once

#include <optional>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/image/packed_capture.hpp"
#include "core/layout/disk_layout.hpp"
#include "daemon/commands/create_source.hpp"

namespace seedbed {

/// The parts of a disk that go into a packed image.
struct disk_content_plan {
    disk_layout layout; ///< with the bytes in use, as far as they are known
    std::vector<packed_range> ranges;
};

/// Reads the partition table of the source, and finds the used blocks of each partition's file system. Prints for each
/// partition what is taken from it, and why. Partitions without a known file system are taken whole; swap areas become
/// data for mkswap. Refuses a hibernated Windows. Nothing if it was cancelled. Needs root: partclone reads the
/// partitions through loop devices.
[[nodiscard]] result<std::optional<disk_content_plan>, create_failure> plan_disk(create_context const& context,
                                                                                 create_source const& source);

} // namespace seedbed
