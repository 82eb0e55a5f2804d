#pragma once

#include <string>

#include "config/settings.hpp"
#include "core/device/disk_rule.hpp"
#include "core/device/growth.hpp"
#include "core/device/sysfs.hpp"
#include "core/foundation/error.hpp"
#include "core/image/image_torrent.hpp"

namespace seedbed {

/// Chooses the device of a deployment from this machine's disks: one that the image fits.
///
/// \param wanted a deployment; its device is ignored. \param grow decides what fits for the packed image of a disk.
/// \return the path; a path in \p rule is returned as it is. The error is one line. Threads: any; blocks.
[[nodiscard]] result<std::string> choose_target(disk_rule const& rule, image_settings const& wanted,
                                                image_torrent const& torrent, growth const& grow,
                                                system_paths const& paths = {});

} // namespace seedbed
