#pragma once

#include <string>

#include "core/cache/piece_cache.hpp"
#include "daemon/image/image_status.hpp"

namespace seedbed {

// An image's status in words. Pure.

/// For example "sda1: downloading 43%, 512 MiB/s, 3 peers".
[[nodiscard]] std::string status_line(image_status const& status);

/// For the log, every minute: the status without the name, the bytes so far, and the statistics \p cache of all images,
/// for example "seeding, 512 MiB/s to 3 peers, 2 GiB uploaded; ...".
[[nodiscard]] std::string summary_line(image_status const& status, piece_cache::statistics const& cache);

} // namespace seedbed
