#include "daemon/fleet/host_report.hpp"

#include <algorithm>
#include <limits>
#include <string_view>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/printable.hpp"

namespace seedbed {

namespace {

constexpr std::size_t longest_reason = 300;
/// Of a deployment, and so that no sum overflows: a year.
constexpr std::int64_t longest_time = 366LL * 24 * 3600 * 1000;

} // namespace

char const* to_string(host_report::outcome_kind outcome) noexcept {
    switch (outcome) {
    case host_report::outcome_kind::verified:
        return "verified";
    case host_report::outcome_kind::durable:
        return "durable";
    case host_report::outcome_kind::failed:
        return "failed";
    }
    return "unknown";
}

std::string to_query(host_report const& report, std::string const& info_hash) {
    auto text = fmt::format("info_hash={}&port={}&state={}&age={}&taken={}&bytes={}", percent_encoded(info_hash),
                            report.host.port(), to_string(report.outcome), report.age.count(), report.taken.count(),
                            report.bytes);
    if (!report.reason.empty()) {
        text += "&reason=" + percent_encoded(std::string_view(report.reason).substr(0, longest_reason));
    }
    return text;
}

result<host_report> read_host_report(query_string const& query, boost::asio::ip::address const& from) {
    using outcome = host_report::outcome_kind;
    auto const refuse = [](char const* reason) { return tl::unexpected(error{reason}); };
    host_report report;
    auto const state = query.find("state").value_or("");
    if (state == to_string(outcome::verified)) {
        report.outcome = outcome::verified;
    } else if (state == to_string(outcome::durable)) {
        report.outcome = outcome::durable;
    } else if (state != to_string(outcome::failed)) {
        return refuse("state is not verified, durable or failed");
    }
    auto const port = query.number("port");
    if (!port || *port > std::numeric_limits<std::uint16_t>::max()) {
        return refuse("port is missing or no port");
    }
    report.host = {from, static_cast<std::uint16_t>(*port)};
    report.reason = printable(query.find("reason").value_or("no reason given").substr(0, longest_reason));
    report.age = std::chrono::milliseconds(std::min(query.number("age").value_or(0), longest_time));
    report.taken = std::chrono::milliseconds(std::min(query.number("taken").value_or(0), longest_time));
    report.bytes = query.number("bytes").value_or(0);
    return report;
}

std::optional<report_url> report_url_of(std::string const& announce_url) {
    std::string_view url = announce_url;
    constexpr std::string_view scheme = "http://";
    constexpr std::string_view last = "announce";
    if (!url.starts_with(scheme)) {
        return std::nullopt;
    }
    url.remove_prefix(scheme.size());
    url = url.substr(0, url.find_first_of("?#"));
    auto const slash = url.find('/');
    if (slash == std::string_view::npos || !url.ends_with(last) || url[url.size() - last.size() - 1] != '/') {
        return std::nullopt;
    }
    auto authority = url.substr(0, slash);
    if (auto const at = authority.rfind('@'); at != std::string_view::npos) {
        authority.remove_prefix(at + 1);
    }
    report_url made;
    made.path = std::string(url.substr(slash, url.size() - slash - last.size())) + "report";
    auto const bracketed = authority.starts_with('[');
    auto const host_end = bracketed ? authority.find(']') : authority.find(':');
    if (bracketed && host_end == std::string_view::npos) {
        return std::nullopt;
    }
    made.host = std::string(bracketed ? authority.substr(1, host_end - 1) : authority.substr(0, host_end));
    auto const colon = authority.find(':', bracketed ? host_end : 0);
    made.port = colon == std::string_view::npos ? "80" : std::string(authority.substr(colon + 1));
    return made.host.empty() || made.port.empty() ? std::nullopt : std::optional(made);
}

} // namespace seedbed
