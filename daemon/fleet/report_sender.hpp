#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/ip_endpoint.hpp"
#include "daemon/fleet/report_sink.hpp"

namespace seedbed {

/// Tells trackers that are a Seedbed daemon's how deployments on this machine have ended (host_report). What is not
/// delivered is tried again, and what is delivered is repeated every minute, for the server may have been started again
/// since; a tracker that is another program is asked once.
///
/// Threads: confined to the one that runs the io_context.
class report_sender final : public report_sink {
public:
    /// \param listeners the addresses on which this daemon listens for peers. Where they name an address, the
    /// report comes from it, as announces do.
    report_sender(boost::asio::io_context& context, std::function<std::vector<ip_endpoint>()> listeners);
    report_sender(report_sender const&) = delete;
    report_sender& operator=(report_sender const&) = delete;
    ~report_sender();

    void send(std::string const& image, std::string const& info_hash, std::vector<std::string> const& announce_urls,
              host_report const& report) override;
    /// What is on its way gets 2 s.
    void forget(std::string const& image) override;

private:
    class delivery;
    boost::asio::io_context& m_context;
    std::function<std::vector<ip_endpoint>()> m_listeners;
    std::map<std::string, std::vector<std::shared_ptr<delivery>>> m_deliveries; ///< by image
};

} // namespace seedbed
