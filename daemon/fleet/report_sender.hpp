#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "config/ip_endpoint.hpp"
#include "daemon/fleet/report_sink.hpp"
#include "daemon/http/shared_secret.hpp"

namespace seedbed {

struct report_timing {
    std::chrono::milliseconds attempt{5'000};     ///< for one address of a server
    std::chrono::milliseconds last{2'000};        ///< for a pending attempt when its report is forgotten
    std::chrono::milliseconds first_pause{2'000}; ///< after a failure; doubled with each further one
    std::chrono::milliseconds repetition{60'000}; ///< of a delivered report, and the longest pause
};

/// Reports the outcome of this machine's deployments to trackers and peers that are Seedbed daemons (host_report). A
/// failed delivery is retried until the report is forgotten. A delivered report is repeated, because the server may
/// have been restarted and lost it. A tracker that is another program gets only one request.
///
/// Threads: confined to the one that runs the io_context.
class report_sender final : public report_sink {
public:
    /// \param listeners the addresses on which this daemon listens for peers. If they include a specific address, the
    /// report is sent from it, as announces are.
    /// \param secret used to authenticate reports; null: they are not authenticated.
    report_sender(boost::asio::io_context& context, std::function<std::vector<ip_endpoint>()> listeners,
                  report_timing const& timing = {}, std::shared_ptr<shared_secret const> secret = nullptr);
    report_sender(report_sender const&) = delete;
    report_sender& operator=(report_sender const&) = delete;
    /// Forgets all reports.
    ~report_sender();

    void send(std::string const& image, info_hash const& hash, std::vector<std::string> const& announce_urls,
              std::vector<boost::asio::ip::tcp::endpoint> const& peers, host_report const& report) override;
    void add_peer(std::string const& image, boost::asio::ip::tcp::endpoint const& peer) override;
    /// A pending attempt may take report_timing::last.
    void forget(std::string const& image) override;

private:
    class delivery;
    /// The report of an image, and where it goes.
    struct dispatch {
        info_hash hash;
        host_report report;
        std::chrono::steady_clock::time_point since; ///< of the report's age
        std::vector<std::shared_ptr<delivery>> deliveries;
    };
    void deliver(std::string const& image, dispatch& what, report_target to);

    boost::asio::io_context& m_context;
    std::function<std::vector<ip_endpoint>()> m_listeners;
    report_timing const m_timing;
    std::shared_ptr<shared_secret const> const m_secret;
    std::map<std::string, dispatch> m_reports; ///< by image
};

} // namespace seedbed
