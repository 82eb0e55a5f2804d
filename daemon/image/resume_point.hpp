#pragma once

#include <optional>
#include <string>

#include "core/device/device_identity.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/image/checkpoint.hpp"
#include "daemon/image/checkpoint_store.hpp"

namespace seedbed {

/// The point from which a deployment can resume when its image is opened.
struct resume_point {
    std::optional<checkpoint> found;               ///< the checkpoint, if it fits
    std::string unused;                            ///< why an existing checkpoint is not used; empty if none exists
    device_change change = device_change::unknown; ///< whether the device has been written to since

    /// Whether the device certainly still has the pieces of `found`: Seedbed ended cleanly, and nothing has been
    /// written since. Otherwise they must be read and hashed before they count.
    [[nodiscard]] bool trusted() const { return found && found->at_rest && change == device_change::none; }
};

/// Looks for a checkpoint of \p device. \param placement of the image on it, see checkpoint. Blocks.
[[nodiscard]] resume_point find_resume_point(checkpoint_store const& store, image_torrent const& torrent,
                                             std::string const& device, std::string const& placement);

} // namespace seedbed
