#pragma once

#include <string>

#include "core/device/device_overview.hpp"
#include "core/device/storage_class.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/text/display_text.hpp"

namespace seedbed {

/// What \p device is and holds, as lines for a person, with a newline after each:
///
///     /dev/sda1: 20 GiB, partition of sda
///       disk      Samsung SSD 970, serial S466NX0K, SATA SSD
///       known as  /dev/disk/by-id/ata-Samsung_SSD_970_S466NX0K-part1
///       holds     ext4 "root"
///       mounted   no
///
/// Anything that drives a terminal becomes a "?".
[[nodiscard]] std::string overview_text(device_overview const& device, storage_class cls);

/// One line on an image: "sda1: 424.6 MiB in 1234 extents, info-hash 0123...".
[[nodiscard]] std::string image_text(image_torrent const& torrent);

} // namespace seedbed
