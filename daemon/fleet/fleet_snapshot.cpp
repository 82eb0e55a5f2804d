// The current round of a fleet as text for the log, as fleet_status for displays, and as the hook's JSON document.

#include <algorithm>
#include <cmath>
#include <iterator>
#include <vector>

#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "config/ip_endpoint.hpp"
#include "daemon/fleet/fleet.hpp"
#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/text/json_members.hpp"

namespace seedbed {

namespace {

using boost::asio::ip::address;

/// The number in the document's "format": incremented when a key changes its meaning or is removed, not for new keys.
constexpr int document_format = 1;

double to_seconds(fleet::clock::duration time) {
    return std::chrono::duration<double>(time).count();
}

double tenths(double seconds) {
    return std::round(seconds * 10) / 10;
}

} // namespace

host_state fleet::state_of(known_host const& which) {
    switch (which.phase()) {
    case host_phase::complete:
        return which.proof;
    case host_phase::failed:
        return which.refused ? host_state::refused : host_state::failed;
    default:
        return which.stopped()                        ? host_state::stopped
               : which.phase() == host_phase::fetched ? host_state::unverified
                                                      : host_state::fetching;
    }
}

fleet_host fleet::tell(known_host const& which, clock::time_point now,
                       std::chrono::system_clock::time_point wall) const {
    auto const at = [&](clock::time_point time) {
        return wall - std::chrono::duration_cast<std::chrono::system_clock::duration>(now - time);
    };
    auto const ended = which.phase() == host_phase::complete || which.phase() == host_phase::failed;
    fleet_host told;
    told.address = which.addresses.front().to_string();
    told.name = told.address;
    told.port = which.port;
    told.state = state_of(which);
    told.connected = which.connected;
    told.failure = which.failure;
    told.device = which.device;
    told.disk_class = which.disk_class;
    if (which.phase() == host_phase::complete) {
        told.fraction = 1;
        told.completed = at(which.ended);
    } else if (which.phase() == host_phase::fetched) {
        told.fraction = 1;
    } else if (m_total > 0 && which.measured != clock::time_point{}) {
        told.fraction = std::clamp(1 - static_cast<double>(which.left) / static_cast<double>(m_total), 0.0, 1.0);
    }
    told.rate = which.phase() == host_phase::fetching && !which.stopped() ? std::max(which.rate, which.sent_rate) : 0;
    told.fetched = which.fetched;
    told.seconds = to_seconds((ended ? which.ended : now) - which.started);
    told.seen = at(which.seen);
    if (told.state == host_state::stopped) {
        told.stopped_seconds = to_seconds(now - *which.stopped());
    }
    if (which.away) {
        told.away_seconds = to_seconds(now - *which.away);
    }
    return told;
}

std::string fleet::describe(known_host const& which, clock::time_point now) const {
    return seedbed::describe(tell(which, now, {}));
}

fleet_status fleet::status(clock::time_point now, std::chrono::system_clock::time_point wall) const {
    fleet_status told;
    told.expected = expected();
    told.complete = complete();
    told.deployed = m_deployed;
    if (m_first_start) {
        told.started = wall - std::chrono::duration_cast<std::chrono::system_clock::duration>(now - *m_first_start);
        told.seconds = to_seconds((m_deployed ? m_ended : now) - *m_first_start);
    }
    for (auto const& each : m_hosts.all()) {
        if (each.phase() != host_phase::earlier) {
            add_host(told, each, now, wall);
        }
    }
    add_missing(told);
    return told;
}

void fleet::add_host(fleet_status& told, known_host const& which, clock::time_point now,
                     std::chrono::system_clock::time_point wall) const {
    auto& shown = told.hosts.emplace_back(tell(which, now, wall));
    shown.name = name_of(which);
    shown.expected = is_wanted(which);
}

void fleet::add_missing(fleet_status& told) const {
    if (m_settings.expect_hosts.empty()) {
        std::vector<address> seen;
        for (auto const& each : m_hosts.all()) {
            if (each.phase() != host_phase::earlier) {
                seen.push_back(each.addresses.front());
            }
        }
        std::ranges::sort(seen);
        auto const different = static_cast<std::size_t>(std::unique(seen.begin(), seen.end()) - seen.begin());
        auto const wanted = expected().value_or(0);
        told.missing = wanted > different ? wanted - different : 0;
        return;
    }
    std::vector<ip_address> seen;
    for (auto const& each : m_hosts.all()) {
        if (each.phase() != host_phase::earlier) {
            std::ranges::transform(each.addresses, std::back_inserter(seen), to_ip_address);
        }
    }
    std::ranges::sort(seen);
    for (auto const& each : m_settings.expect_hosts) {
        if (!std::ranges::binary_search(seen, each)) {
            told.not_seen.push_back(to_string(each));
        }
    }
    told.missing = told.not_seen.size();
}

std::size_t fleet::complete() const {
    return m_hosts.complete();
}

std::optional<std::size_t> fleet::expected() const {
    if (!m_settings.expect_hosts.empty()) {
        return m_settings.expect_hosts.size();
    }
    return m_settings.expect ? std::optional(static_cast<std::size_t>(*m_settings.expect)) : std::nullopt;
}

std::string fleet::count() const {
    auto const wanted = expected();
    return wanted ? fmt::format("{}/{}", complete(), *wanted) : fmt::format("{}", complete());
}

std::string fleet::stragglers(std::size_t most, clock::time_point now) const {
    fleet_status told; // without the complete hosts, which are most
    for (auto const& each : m_hosts.all()) {
        if (each.phase() != host_phase::earlier && each.phase() != host_phase::complete) {
            add_host(told, each, now, {});
        }
    }
    add_missing(told);
    auto const behind = told.stragglers();
    std::string text;
    auto const add = [&text](std::string const& more) { text += (text.empty() ? "" : ", ") + more; };
    for (std::size_t i = 0; i < std::min(most, behind.size()); ++i) {
        add(behind[i]->name + " " + seedbed::describe(*behind[i]));
    }
    if (behind.size() > most) {
        add(fmt::format("{} more", behind.size() - most));
    }
    if (told.not_seen.empty()) {
        if (told.missing > 0) {
            add(fmt::format("{} not seen", told.missing));
        }
        return text;
    }
    for (std::size_t i = 0; i < std::min(most, told.not_seen.size()); ++i) {
        add(told.not_seen[i] + " not seen");
    }
    if (told.not_seen.size() > most) {
        add(fmt::format("{} more not seen", told.not_seen.size() - most));
    }
    return text;
}

std::string fleet::document(std::string const& image, info_hash const& hash, clock::time_point now,
                            std::chrono::system_clock::time_point wall) const {
    auto const told = status(now, wall);
    nlohmann::json document;
    document["format"] = document_format;
    document["image"] = image;
    document["info_hash"] = hash.to_hex();
    document["expected"] = value_or_null(told.expected);
    document["complete"] = told.complete;
    document["started"] = utc_or_null(told.started);
    document["duration"] = tenths(told.seconds);
    auto& hosts = document["hosts"] = nlohmann::json::array();
    for (auto const& each : told.hosts) {
        nlohmann::json entry;
        entry["address"] = each.address;
        entry["port"] = each.port;
        entry["state"] = to_string(each.state);
        entry["completed_at"] = utc_or_null(each.completed);
        entry["seconds"] = tenths(each.seconds);
        entry["bytes"] = each.fetched;
        if (each.state == host_state::failed || each.state == host_state::refused) {
            entry["reason"] = each.failure;
        }
        entry["device"] = text_or_null(each.device);
        entry["class"] = each.disk_class ? nlohmann::json(to_string(*each.disk_class)) : nlohmann::json();
        hosts.push_back(std::move(entry));
    }
    // A target's failure message need not be UTF-8.
    return document.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

} // namespace seedbed
