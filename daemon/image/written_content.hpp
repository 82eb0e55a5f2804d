#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/backend/served_image.hpp"
#include "core/device/block_device.hpp"
#include "core/device/disk_content.hpp"
#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/image_torrent.hpp"

namespace seedbed {

/// The content of a device after a deployment, and how it differs from what the torrent states.
struct written_content {
    std::optional<disk_content> found; ///< nothing if the device was not examined
    std::vector<std::string> warnings; ///< one line each
};

/// Remains of earlier contents that were wiped before the first write.
struct wiped_signatures {
    std::vector<disk_signature> signatures;
    std::vector<std::string> warnings; ///< why some may remain; one line each, about the device
};

/// Wipes the signatures of earlier contents that the image does not overwrite, see to_wipe(). A bad sector there does
/// not concern the image, so that each failure is only a warning. Before the first write; threads: any; blocks.
[[nodiscard]] wiped_signatures wipe_old_content(served_image& image);

/// Probes a device whose image is complete, and has the kernel reread its partition table. Threads: any; blocks.
[[nodiscard]] written_content examine_content(served_image& image);

/// The same for a device that holds an image with these extents. \param planned everything on it belongs to the image,
/// as on a disk that gets a table of its partitions.
[[nodiscard]] written_content examine_device(block_device& device, extent_map const& extents,
                                             image_traits const& traits, bool planned);

/// How content differs from what the torrent states. \param found what libblkid prefers.
/// \param signatures all signatures on the device, see find_signatures(). \param extents of the image on the device.
[[nodiscard]] std::vector<std::string> compare_content(disk_content const& found,
                                                       std::vector<disk_signature> const& signatures,
                                                       extent_map const& extents, image_traits const& traits);

/// "btrfs at byte 65600".
[[nodiscard]] std::string describe(disk_signature const& signature);

} // namespace seedbed
