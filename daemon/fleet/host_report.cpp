#include "daemon/fleet/host_report.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <string_view>
#include <system_error>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/printable.hpp"

namespace seedbed {

namespace {

constexpr std::size_t longest_reason = 300;
constexpr std::size_t longest_id = 64;
constexpr std::size_t random_id_bytes = 8;
/// A year: longer than any deployment, and short enough that no sum overflows.
constexpr std::int64_t longest_time = 366LL * 24 * 3600 * 1000;
constexpr std::optional<std::uint16_t> http_port = 80;

std::string const challenge_key = "&challenge=";
std::string const code_key = "&code=";

/// The message that a report's code authenticates. The scope of a link-local address differs on each side, so it is
/// removed.
std::string proof_message(std::string const& query, std::string const& server) {
    return "seedbed report\n" + server.substr(0, server.find('%')) + "\n" + query;
}

/// Parses ":6969".
std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    auto const* const end = text.data() + text.size();
    auto const parsed = std::from_chars(text.data() + 1, end, port);
    return text.front() == ':' && parsed.ec == std::errc{} && parsed.ptr == end && port != 0 ? std::optional(port)
                                                                                             : std::nullopt;
}

} // namespace

char const* to_string(host_report::outcome_kind outcome) noexcept {
    switch (outcome) {
    case host_report::outcome_kind::verified:
        return "verified";
    case host_report::outcome_kind::durable:
        return "durable";
    case host_report::outcome_kind::failed:
        return "failed";
    case host_report::outcome_kind::refused:
        return "refused";
    case host_report::outcome_kind::started:
        return "started";
    }
    return "unknown";
}

void identify(host_report& report, std::string const& job) {
    report.is_job = !job.empty();
    report.id = job;
    for (auto const byte : report.is_job ? std::string() : random_bytes(random_id_bytes)) {
        report.id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
}

std::string to_query(host_report const& report, info_hash const& hash) {
    auto const refused = report.outcome == host_report::outcome_kind::refused;
    auto text = fmt::format("info_hash={}&port={}&state={}{}&age={}&taken={}&bytes={}", percent_encoded(hash.bytes()),
                            report.host.port(), refused ? "failed" : to_string(report.outcome),
                            refused ? "&refused=1" : "", report.age.count(), report.taken.count(), report.bytes);
    if (!report.reason.empty()) {
        text += "&reason=" + percent_encoded(std::string_view(report.reason).substr(0, longest_reason));
    }
    if (!report.id.empty()) {
        text += (report.is_job ? "&job=" : "&id=") + percent_encoded(report.id);
    }
    text += to_query(report.facts);
    return report.receipt.empty() ? text : text + "&receipt=" + percent_encoded(report.receipt);
}

std::string authenticated(std::string const& query, shared_secret const& secret, std::string const& challenge,
                          std::string const& server) {
    auto const all = query + challenge_key + challenge;
    return all + code_key + secret.code(proof_message(all, server));
}

std::optional<std::string> proven_challenge(std::string const& query, shared_secret const& secret,
                                            std::string const& server) {
    auto const code = query.rfind(code_key);
    auto const challenge = code == std::string::npos ? code : query.rfind(challenge_key, code);
    if (challenge == std::string::npos ||
        !secret.proves(proof_message(query.substr(0, code), server), query.substr(code + code_key.size()))) {
        return std::nullopt;
    }
    auto const begin = challenge + challenge_key.size();
    return query.substr(begin, code - begin);
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
    } else if (state == to_string(outcome::started)) {
        report.outcome = outcome::started;
    } else if (state != to_string(outcome::failed)) {
        return refuse("state is not started, verified, durable or failed");
    } else if (query.find("refused") == "1") {
        report.outcome = outcome::refused;
    }
    auto const port = query.number("port");
    if (!port || *port > std::numeric_limits<std::uint16_t>::max()) {
        return refuse("port is missing or not a port number");
    }
    report.host = {from, static_cast<std::uint16_t>(*port)};
    auto const reason = query.find("reason").value_or("");
    report.reason = printable(reason.empty() ? "no reason given" : reason.substr(0, longest_reason));
    report.age = std::chrono::milliseconds(std::min(query.number("age").value_or(0), longest_time));
    report.taken = std::chrono::milliseconds(std::min(query.number("taken").value_or(0), longest_time));
    report.bytes = query.number("bytes").value_or(0);
    auto const job = query.find("job").value_or("");
    report.is_job = !job.empty();
    report.id = printable((report.is_job ? job : query.find("id").value_or("")).substr(0, longest_id));
    report.facts = read_target_facts(query);
    report.receipt = query.find("receipt").value_or("");
    return report;
}

std::optional<report_target> report_target_of(std::string const& announce_url) {
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
    auto const bracketed = authority.starts_with('[');
    auto const host_end = std::min(authority.find(bracketed ? ']' : ':'), authority.size());
    auto const host = std::string(bracketed ? authority.substr(1, host_end - 1) : authority.substr(0, host_end));
    auto const rest = authority.substr(std::min(host_end + (bracketed ? 1U : 0U), authority.size()));
    auto const port = rest.empty() ? http_port : parse_port(rest);
    if (host.empty() || !port || (bracketed && host_end == authority.size())) {
        return std::nullopt;
    }
    boost::system::error_code ec;
    auto const address = boost::asio::ip::make_address(host, ec);
    if (bracketed && (ec || !address.is_v6())) {
        return std::nullopt;
    }
    report_target made{host, *port, std::string(url.substr(slash, url.size() - slash - last.size())) + "report"};
    if (!ec) {
        made.host = address;
    }
    return made;
}

report_target report_target_of(boost::asio::ip::tcp::endpoint const& peer) {
    return {peer.address(), peer.port(), "/report"};
}

std::string authority(report_target const& target) {
    auto const* const address = std::get_if<boost::asio::ip::address>(&target.host);
    auto const host = address == nullptr ? std::get<std::string>(target.host)
                      : address->is_v6() ? "[" + address->to_string() + "]"
                                         : address->to_string();
    return host + ":" + std::to_string(target.port);
}

} // namespace seedbed
