// Targets of requests to the tracker: announces, scrapes and reports, one a line. Answers are bencoded, and the tracker
// keeps no more peers than it may.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <sstream>
#include <string>

#include <boost/asio/ip/address.hpp>
#include <libtorrent/bdecode.hpp>

#include "daemon/fleet/host_report.hpp"
#include "daemon/fleet/tracker.hpp"
#include "daemon/history/receipt_text.hpp"
#include "daemon/http/query_string.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

namespace {

void require_bencoded(std::string const& answer) {
    libtorrent::error_code failed;
    auto const decoded = libtorrent::bdecode(answer, failed);
    fuzz::require(!failed && decoded.type() == libtorrent::bdecode_node::dict_t);
}

void try_report(std::string const& target, boost::asio::ip::address const& from) {
    auto const query = query_string::parse(target);
    if (!query) {
        return;
    }
    auto const report = read_host_report(*query, from);
    if (!report) {
        fuzz::require_line(report.error().message);
        return;
    }
    fuzz::require(report->reason.find('\n') == std::string::npos);
    fuzz::require(report->age.count() >= 0 && report->taken.count() >= 0 && report->bytes >= 0);
    auto const again = query_string::parse("/report?" + to_query(*report, info_hash{}));
    fuzz::require(again.has_value());
    auto const same = read_host_report(*again, from);
    fuzz::require(same.has_value() && same->reason == report->reason && same->outcome == report->outcome &&
                  same->bytes == report->bytes && same->taken == report->taken && same->host == report->host &&
                  same->facts == report->facts);
    fuzz::require(unpacked_receipt(report->receipt).size() <= longest_receipt);
    fuzz::require(report->facts.device.size() <= longest_fact && report->facts.device.find('\n') == std::string::npos);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    tracker_limits limits;
    limits.peers = 8;
    limits.peers_per_image = 6;
    limits.peers_per_address = 3;
    tracker subject(limits, [](announcement const& said) {
        fuzz::require(said.peer_id.size() == 20 && said.downloaded >= 0 && said.left >= 0);
    });
    subject.set_own("-SB0100-", {}, 2);
    subject.set_images({{*info_hash::from_bytes("aaaaaaaaaaaaaaaaaaaa"), true},
                        {*info_hash::from_bytes("bbbbbbbbbbbbbbbbbbbb"), false}});
    auto const local = boost::asio::ip::make_address("10.0.0.1");
    auto now = tracker::clock::time_point() + std::chrono::hours(1);
    std::istringstream lines(input.rest());
    for (std::string line; std::getline(lines, line);) {
        if (line.empty()) {
            continue;
        }
        auto const choice = static_cast<unsigned char>(line.front());
        auto const target = line.substr(1);
        auto const peer = choice % 2 == 0 ? boost::asio::ip::make_address("10.0.0." + std::to_string(choice))
                                          : boost::asio::ip::make_address("fd00::" + std::to_string(choice));
        require_bencoded(subject.announce(target, peer, local, now));
        require_bencoded(subject.scrape(target, now));
        try_report(target, peer);
        fuzz::require(subject.peers() <= limits.peers);
        now += std::chrono::seconds(choice);
    }
    return 0;
}
