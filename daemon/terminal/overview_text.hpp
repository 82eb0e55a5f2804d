#pragma once

#include <string>

#include "core/device/device_overview.hpp"
#include "core/device/storage_class.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/text/display_text.hpp"

namespace seedbed {

/// Describes \p device and its content for people, with a newline after each line:
///
///     /dev/sda1: 20 GiB, partition of sda
///       disk      Samsung SSD 970, serial S466NX0K, SATA SSD
///       known as  /dev/disk/by-id/ata-Samsung_SSD_970_S466NX0K-part1
///       holds     ext4 "root"
///       mounted   no
///
/// Unprintable bytes, which could control a terminal, become "?".
[[nodiscard]] std::string overview_text(device_overview const& device, storage_class cls);

/// Describes an image: "sda1: 425 MiB in 1234 extents", then its info-hash on a second line.
[[nodiscard]] std::string image_text(image_torrent const& torrent);

} // namespace seedbed
