#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"
#include "daemon/fleet/host_report.hpp"
#include "daemon/fleet/tracker.hpp"
#include "daemon/http/http_server.hpp"

namespace seedbed {

/// The tracker on its sockets: /announce, /scrape, and /report for Seedbed targets.
///
/// Threads: confined to the main thread.
class tracker_service {
public:
    struct events {
        /// An announce of somebody else's, and how long that peer may be silent from now on.
        std::function<void(announcement const&, tracker::clock::duration)> on_announce;
        /// \return whether there is such an image.
        std::function<bool(std::string const&, host_report const&)> on_report;
    };

    tracker_service(boost::asio::io_context& context, std::string own_peer_id_prefix, events told);

    /// Takes over settings and opens and closes listeners accordingly. Those that stay keep their connections, and what
    /// is known of peers stays in any case. An address of the default that can not be had is logged as a warning.
    /// \return the reason where one that is configured can not; all others are open then.
    [[nodiscard]] result<void> apply(tracker_settings const& wanted, network_settings const& network);

    void set_images(std::vector<tracker::image> const& images);

    /// On which it listens, at every address where there is such a listener; 0 for none.
    [[nodiscard]] std::uint16_t port() const;

    void close();

private:
    [[nodiscard]] http_response answer(http_request const& request);
    [[nodiscard]] http_response take_report(http_request const& request);
    result<void> listen(ip_endpoint const& address);

    boost::asio::io_context& m_context;
    std::string const m_own_prefix;
    events m_told;
    tracker m_tracker;
    http_limits m_limits;
    std::map<ip_endpoint, std::unique_ptr<http_server>> m_servers;
};

} // namespace seedbed
