#pragma once

#include <string>

#include "config/settings.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/fleet/host_report.hpp"

namespace seedbed {

/// Reports a deployment that cannot report itself to those HTTP trackers of the torrent and of \p image that are
/// Seedbed's: because it has not begun, or has been given up. \p network has the addresses to report from.
/// \param reason for a failure or a refusal. \param receipt packed, see short_receipt().
///
/// Blocks until the reports are delivered or two seconds have passed, even if DNS does not answer. Logs a tracker that
/// cannot be reached.
void report_outcome(image_settings const& image, image_torrent const& torrent, network_settings const& network,
                    host_report::outcome_kind outcome, std::string const& reason, std::string const& receipt);

} // namespace seedbed
