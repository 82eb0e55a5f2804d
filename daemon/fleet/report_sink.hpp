#pragma once

#include <string>
#include <vector>

#include "daemon/fleet/host_report.hpp"

namespace seedbed {

/// Takes the outcome of deployments to where it belongs: the image's trackers.
///
/// Threads: confined to the main thread.
class report_sink {
public:
    /// Sends \p report, of now, in place of an earlier one of this image. \param info_hash 40 hex digits.
    virtual void send(std::string const& image, std::string const& info_hash,
                      std::vector<std::string> const& announce_urls, host_report const& report) = 0;
    /// Stops repeating the report of this image.
    virtual void forget(std::string const& image) = 0;

protected:
    ~report_sink() = default;
};

} // namespace seedbed
