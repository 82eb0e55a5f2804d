#include "daemon/service/outcome_report.hpp"

#include <boost/asio/io_context.hpp>

#include "daemon/fleet/report_sender.hpp"
#include "daemon/service/node.hpp"
#include "daemon/swarm/torrent_trackers.hpp"

namespace seedbed {

void report_outcome(image_settings const& image, image_torrent const& torrent, network_settings const& network,
                    host_report::outcome_kind outcome, std::string const& reason, std::string const& receipt) {
    boost::asio::io_context context{1};
    report_sender sender(
        context, [&network] { return network.listen; }, {}, load_secret(network).value_or(nullptr));
    auto urls = announce_urls(torrent);
    urls.insert(urls.end(), image.trackers.begin(), image.trackers.end());
    host_report report;
    report.outcome = outcome;
    report.reason = reason;
    report.facts = facts_of_refused(image.device);
    report.receipt = receipt;
    identify(report, "");
    sender.send(image.name, torrent.info_hash, urls, {}, report);
    sender.forget(image.name); // report_timing::last limits each attempt from here on
    context.run();
}

} // namespace seedbed
