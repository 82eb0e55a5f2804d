#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/image/extent_map.hpp"
#include "daemon/image/image_failure.hpp"
#include "daemon/image/packed_plan.hpp"

namespace seedbed {

/// What a packed_plan did to a disk on a worker.
struct disk_work {
    std::vector<std::string> steps;       ///< one line each
    std::vector<std::string> warnings;    ///< one line each
    std::optional<image_failure> failure; ///< nothing if it succeeded
    std::vector<extent> erased;           ///< bytes of the disk that may have been overwritten
};

/// packed_plan::wipe(). Threads: any that may block.
[[nodiscard]] disk_work wipe_disk(packed_plan const& plan, block_device& device);
/// packed_plan::finish(). Threads: any that may block.
[[nodiscard]] disk_work finish_disk(packed_plan const& plan, block_device& device);

} // namespace seedbed
