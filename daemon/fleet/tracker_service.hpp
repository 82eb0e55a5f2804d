#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"
#include "daemon/fleet/host_report.hpp"
#include "daemon/fleet/image_catalog.hpp"
#include "daemon/fleet/tracker.hpp"
#include "daemon/http/http_folder.hpp"
#include "daemon/http/http_listeners.hpp"
#include "daemon/http/shared_secret.hpp"
#include "daemon/log/line_limit.hpp"

namespace seedbed {

/// The tracker's HTTP server: /announce and /scrape; for Seedbed targets also /report, and /challenge if there is a
/// secret; the images by name, see image_catalog; the files of a folder at /boot/, see http_folder.
///
/// Threads: confined to the main thread.
class tracker_service {
public:
    struct events {
        /// An announce from another client, and how long it may be silent from now on.
        std::function<void(announcement const&, tracker::clock::duration)> on_announce;
        /// \return whether the image exists.
        std::function<bool(info_hash const&, host_report const&)> on_report;
        /// A request below /machine/, whose sender knows the secret if there is one; responds later.
        std::function<void(http_request const&, http_respond const&)> on_machine = {};
    };

    tracker_service(boost::asio::io_context& context, std::string own_peer_id_prefix, events told);

    /// From now on, accepts only reports whose sender proves that it knows the secret; null: all reports.
    void set_secret(std::shared_ptr<shared_secret const> secret) { m_secret = std::move(secret); }

    /// Applies settings, and opens and closes listeners accordingly. Unchanged listeners keep their connections, and
    /// the tracker always keeps its peers. A failure to listen on a default address is logged as a warning.
    /// \return the failure to listen on a configured address; all others are then open.
    [[nodiscard]] result<void> apply(tracker_settings const& wanted, network_settings const& network);

    void set_images(std::vector<tracker::image> const& images);
    void set_catalog(std::vector<catalog_image> images) { m_catalog.set_images(std::move(images)); }

    /// Serves the files that machines boot from, and logs where. \param folder empty: none.
    void set_boot_folder(std::string const& folder);

    /// The port of the listener on all addresses, or of any other if there is none; 0 without listeners.
    [[nodiscard]] std::uint16_t port() const;

    void close();

private:
    void handle(http_request const& request, http_respond const& respond);
    [[nodiscard]] http_response answer(http_request const& request);
    /// Logs that a sender has not proved that it knows the secret. \param what the start of the line, which the
    /// sender's address follows.
    [[nodiscard]] http_response refuse_stranger(http_request const& request, std::string const& what);
    [[nodiscard]] http_response take_report(http_request const& request);
    /// Whether the sender of the request has proved that it knows the secret; always true without a secret.
    [[nodiscard]] bool is_authenticated(http_request const& request, tracker::clock::time_point now) const;

    std::string const m_own_prefix;
    events m_told;
    tracker m_tracker;
    image_catalog m_catalog;
    http_limits m_limits;
    std::shared_ptr<shared_secret const> m_secret;
    challenges m_challenges;
    line_limit m_refusals{5, std::chrono::minutes(1)};
    line_limit m_boot_complaints{5, std::chrono::minutes(1)};
    http_folder m_boot;
    http_listeners m_listeners;
};

} // namespace seedbed
