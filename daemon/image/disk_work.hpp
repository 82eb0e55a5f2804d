#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/backend/image_device.hpp"
#include "core/device/block_device.hpp"
#include "core/image/extent_map.hpp"
#include "daemon/image/image_failure.hpp"
#include "daemon/image/packed_plan.hpp"

namespace seedbed {

/// What was done to a disk on a worker, apart from writing pieces.
struct disk_work {
    std::vector<std::string> steps;       ///< one line each
    std::vector<std::string> warnings;    ///< one line each
    std::optional<image_failure> failure; ///< nothing if it succeeded
    std::vector<extent> erased;           ///< bytes of the disk that may have been lost
};

/// packed_plan::wipe() and discard(). Threads: any that may block.
[[nodiscard]] disk_work wipe_disk(packed_plan const& plan, block_device& device);
/// ends_last_device::hold_back() of an image that has ends, and packed_plan::discard() if it has a plan. `erased` lists
/// what could not be read. Threads: any that may block.
[[nodiscard]] disk_work hold_back_ends(image_device const& image, packed_plan const* plan);
/// packed_plan::finish(). Threads: any that may block.
[[nodiscard]] disk_work finish_disk(packed_plan const& plan, image_device const& image);

} // namespace seedbed
