#pragma once

#include <string>

#include "config/settings.hpp"
#include "core/image/image_torrent.hpp"

namespace seedbed {

/// Reports a deployment that ended before it began, because the device was refused or the user did not confirm, to
/// those HTTP trackers of the torrent and of \p image that are Seedbed's. \p network has the addresses to report from.
/// \param receipt as JSON, see short_receipt().
///
/// Blocks until the reports are delivered or two seconds have passed, even if DNS does not answer. Logs a tracker that
/// cannot be reached.
void report_refusal(image_settings const& image, image_torrent const& torrent, network_settings const& network,
                    std::string const& reason, std::string const& receipt);

} // namespace seedbed
