#pragma once

#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "core/foundation/info_hash.hpp"
#include "daemon/fleet/host_report.hpp"

namespace seedbed {

/// Sends the outcome of deployments to the daemons that count them: the image's trackers and peers.
///
/// Threads: confined to the main thread.
class report_sink {
public:
    /// Sends \p report in place of the image's earlier one. Its age is relative to the time of this call.
    /// \param announce_urls of the image's trackers; only those that report_target_of() accepts get the report.
    /// \param peers the HTTP endpoints of peers that take reports.
    virtual void send(std::string const& image, info_hash const& hash, std::vector<std::string> const& announce_urls,
                      std::vector<boost::asio::ip::tcp::endpoint> const& peers, host_report const& report) = 0;
    /// Sends the image's report to one more peer; does nothing if there is none, or if that peer gets it already.
    virtual void add_peer(std::string const& image, boost::asio::ip::tcp::endpoint const& peer) = 0;
    /// Stops repeating the report of this image.
    virtual void forget(std::string const& image) = 0;

protected:
    ~report_sink() = default;
};

} // namespace seedbed
