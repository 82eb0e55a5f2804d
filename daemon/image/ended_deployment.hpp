#pragma once

#include <map>

#include "core/layout/disk_layout.hpp"
#include "daemon/image/image_state.hpp"
#include "daemon/image/image_status.hpp"

namespace seedbed {

/// A deployment at its end, before it seeds, for the receipt that is sent with the report.
struct ended_deployment {
    image_status image;
    std::map<image_state, double> seconds; ///< in each state, so far
    disk_layout const* layout = nullptr;   ///< that was written to the disk; null if none was
};

} // namespace seedbed
