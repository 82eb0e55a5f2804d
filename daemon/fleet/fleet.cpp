#include "daemon/fleet/fleet.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "daemon/http/query_string.hpp"
#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::address;

/// How often the stragglers are logged while they make progress.
constexpr auto summary_interval = 60s;
/// The shortest time over which a rate is measured.
constexpr auto shortest_look = 2s;
/// A host without progress for this long has a rate of 0.
constexpr std::chrono::seconds longest_look{30};
/// How long a host that does not announce may be silent before it is lost: while it verifies it has no connection.
constexpr auto peer_patience = 600s;
/// How far the swarm's view of a peer may lag behind the peer's own announces and reports.
constexpr auto look_delay = 30s;
/// Stragglers named in a log line.
constexpr std::size_t most_named = 5;

bool is_seedbed(std::string const& id) {
    return id.starts_with("-SB");
}

/// Whether two peer ids are of one run of a client. Those of a Seedbed process share their first bytes
/// (own_peer_id_prefix()).
bool same_run(std::string const& a, std::string const& b) {
    constexpr std::size_t own = 14;
    return is_seedbed(a) && is_seedbed(b) ? a.compare(0, own, b, 0, own) == 0 : a == b;
}

} // namespace

fleet::fleet(std::int64_t total_bytes, fleet_settings wanted, std::size_t limit)
    : m_total(total_bytes)
    , m_settings(std::move(wanted))
    , m_limit(limit) {}

void fleet::set_settings(fleet_settings wanted, std::size_t limit, clock::time_point now) {
    m_limit = limit;
    auto const same = wanted.expect == m_settings.expect && wanted.expect_hosts == m_settings.expect_hosts;
    m_settings = std::move(wanted);
    if (!same) { // the deployment may be complete by the new rule
        m_deployed = false;
        check_deployed(now);
    }
}

// --- identity of hosts

fleet::host* fleet::only_one_at(address const& where) {
    host* found = nullptr;
    for (auto& each : m_hosts) {
        if (std::ranges::find(each.addresses, where) != each.addresses.end()) {
            if (found != nullptr) {
                return nullptr;
            }
            found = &each;
        }
    }
    return found;
}

fleet::host* fleet::stale_one_at(address const& where) {
    for (auto& each : m_hosts) {
        if (each.stopped && std::ranges::find(each.addresses, where) != each.addresses.end()) {
            return &each;
        }
    }
    return nullptr;
}

fleet::host* fleet::find(std::string const& id, address const& where, std::uint16_t port) {
    host* found = nullptr;
    for (auto& each : m_hosts) {
        if (!id.empty() && same_run(each.id, id)) {
            if (std::ranges::find(each.addresses, where) == each.addresses.end()) {
                each.addresses.push_back(where);
            }
            return &each;
        }
        auto const here = std::ranges::find(each.addresses, where) != each.addresses.end();
        if (port != 0 && each.port == port && here) {
            found = &each; // restarted, with another id
        }
    }
    if (found != nullptr || port == 0) {
        return found != nullptr ? found : only_one_at(where);
    }
    auto* const only = only_one_at(where);
    return only != nullptr && only->port == 0 ? only : stale_one_at(where); // or restarted with another port
}

fleet::host& fleet::add(address const& where, std::uint16_t port) {
    if (m_hosts.size() >= m_limit) {
        // The one that has been silent for longest, complete and connected hosts last.
        auto const least = std::ranges::min_element(m_hosts, {}, [](host const& each) {
            auto const matters = each.state == state_kind::complete || (!each.stopped && each.connected);
            return std::pair(matters, each.seen);
        });
        m_hosts.erase(least);
    }
    auto& added = m_hosts.emplace_back();
    added.addresses = {where};
    added.port = port;
    added.patience = peer_patience;
    return added;
}

bool fleet::is_expected(address const& where) const {
    return std::ranges::find(m_settings.expect_hosts, to_ip_address(where)) != m_settings.expect_hosts.end();
}

bool fleet::is_expected(host const& which) const {
    return std::ranges::any_of(which.addresses, [this](address const& where) { return is_expected(where); });
}

bool fleet::is_wanted(host const& which) const {
    return m_settings.expect_hosts.empty() || is_expected(which);
}

std::string fleet::name_of(host const& which) const {
    auto const& where = which.addresses.front();
    auto const at = std::ranges::count_if(m_hosts, [&](host const& each) { return each.addresses.front() == where; });
    return name_of(which, at > 1);
}

std::string fleet::name_of(host const& which, bool shared) {
    auto const& where = which.addresses.front();
    auto text = where.to_string();
    if (!shared || which.port == 0) {
        return text;
    }
    return where.is_v6() ? fmt::format("[{}]:{}", text, which.port) : fmt::format("{}:{}", text, which.port);
}

// --- events

void fleet::say(log_level level, std::string text, host const* about) {
    m_lines.push_back({level, std::move(text), about != nullptr ? about->addresses.front().to_string() : ""});
}

void fleet::begin_round(host const& first, clock::time_point now) {
    for (auto& each : m_hosts) {
        if (&each != &first && (each.state != state_kind::fetching || each.stopped)) {
            each.state = state_kind::earlier;
            each.stopped.reset();
        }
    }
    m_deployed = false;
    m_first_start.reset();
    m_round_began = now;
    say(log_level::info, fmt::format("new round: {} has started", name_of(first)), &first);
}

void fleet::start(host& which, std::int64_t left, clock::time_point now) {
    auto const again = which.state == state_kind::fetching || which.state == state_kind::fetched;
    if (m_deployed && !again) {
        begin_round(which, now);
    } else if (which.state == state_kind::complete) {
        say(log_level::info, fmt::format("{} has restarted", name_of(which)), &which);
    }
    if (!again) {
        which.started = now;
        which.fetched = 0;
    }
    which.state = state_kind::fetching;
    which.stopped.reset();
    which.failure.clear();
    which.left = left;
    which.measured = now;
    which.measured_left = left;
    which.rate = 0;
    if (!m_first_start) {
        m_first_start = now;
        m_summarised = now;
    }
    m_unsaid = true;
}

void fleet::measure(host& which, std::int64_t left, clock::time_point now) {
    if (which.stopped) {
        which.stopped.reset();
        m_unsaid = true;
    }
    which.left = left;
    if (now - which.measured < shortest_look) {
        return;
    }
    auto const moved = std::max<std::int64_t>(which.measured_left - left, 0);
    if (moved == 0 && now - which.measured < longest_look) {
        return; // progress comes in whole pieces, which a slow host completes rarely
    }
    which.rate = static_cast<double>(moved) / std::chrono::duration<double>(now - which.measured).count();
    which.measured = now;
    which.measured_left = left;
    m_unsaid = m_unsaid || moved > 0;
}

void fleet::on_all_pieces(host& which, clock::time_point now) {
    which.left = 0;
    if (is_seedbed(which.id) && (which.announced || m_takes_reports)) {
        which.state = state_kind::fetched;
        which.stopped.reset();
        m_unsaid = true;
    } else {
        finish(which, host_state::pieces, now);
    }
}

void fleet::finish(host& which, host_state proof, clock::time_point at) {
    which.state = state_kind::complete;
    which.proof = proof;
    which.ended = at;
    which.left = 0;
    which.stopped.reset();
    which.failure.clear();
    m_first_start = std::min(m_first_start.value_or(which.started), which.started);
    m_unsaid = true;
    auto const* const means = proof == host_state::verified  ? "verified"
                              : proof == host_state::durable ? "flushed, not verified"
                                                             : "has all pieces";
    auto text = fmt::format("{} complete ({} after {}, {}{})", count(), name_of(which),
                            format_duration(at - which.started), means, is_wanted(which) ? "" : "; not expected");
    auto const wanted = expected();
    auto const missing = wanted && *wanted > complete() ? *wanted - complete() : 0;
    if (missing > 0 && missing <= std::max<std::size_t>(*wanted / 10, 1)) {
        text += "; remaining: " + stragglers(most_named, at);
        m_summarised = at;
        m_unsaid = false;
    }
    say(log_level::info, std::move(text), &which);
    check_deployed(at);
}

void fleet::check_deployed(clock::time_point now) {
    auto const wanted = expected();
    if (m_deployed || !wanted || complete() < *wanted) {
        return;
    }
    m_deployed = true;
    m_completed = true;
    m_ended = now;
    say(log_level::info,
        fmt::format("deployment complete: {} in {}", count(), format_duration(now - m_first_start.value_or(now))));
}

void fleet::lose(host& which, std::string text, clock::time_point now) {
    which.stopped = now;
    which.connected = false;
    m_unsaid = true;
    say(log_level::warning, std::move(text), &which);
}

void fleet::on_announce(announcement const& said, clock::duration patience, clock::time_point now) {
    using event = announcement::event_kind;
    auto* known = find(said.peer_id, said.peer.address(), said.peer.port());
    if (known == nullptr && said.event == event::stopped) {
        return;
    }
    auto const is_new = known == nullptr;
    auto& which = is_new ? add(said.peer.address(), said.peer.port()) : *known;
    which.id = said.peer_id;
    which.port = said.peer.port();
    which.announced = true;
    which.patience = patience;
    which.seen = now;
    which.fetched = std::max(which.fetched, said.downloaded);

    auto const under_way = which.state == state_kind::fetching || which.state == state_kind::fetched;
    auto const stops = said.event == event::stopped;
    if (said.left > 0 && !stops && (which.state != state_kind::fetching || which.stopped)) {
        start(which, said.left, now); // it is new or has come back
    } else if (said.left > 0 && which.state == state_kind::fetching && !which.stopped) {
        measure(which, said.left, now);
    } else if (said.left == 0 && which.state == state_kind::fetching) {
        on_all_pieces(which, now); // aria2 announces it with "stopped" only, unless it seeds
    } else if (said.left == 0 && which.state == state_kind::fetched && !stops) {
        which.stopped.reset();
    } else if (said.left == 0 && which.state == state_kind::earlier &&
               (said.event == event::completed || (is_new && is_expected(which)))) {
        which.started = now;
        on_all_pieces(which, now);
    }
    if (stops && under_way && !which.stopped && which.state != state_kind::complete) {
        lose(which,
             name_of(which) + (which.state == state_kind::fetched ? " stopped before its image was verified"
                                                                  : " stopped: " + describe(which, now)),
             now);
    }
}

void fleet::on_peers(std::vector<peer_status> const& peers, clock::time_point now) {
    std::vector<host const*> connected;
    std::set<std::string> looked_at;
    for (auto const& peer : peers) {
        boost::system::error_code ec;
        auto const where = boost::asio::ip::make_address(peer.address, ec);
        auto const id = bytes_of_hex(peer.id);
        if (ec || !id) {
            continue;
        }
        looked_at.insert(*id);
        auto const port = peer.incoming ? std::uint16_t{0} : peer.port;
        auto const left = peer.seed ? 0 : std::llround((1 - peer.fraction) * static_cast<double>(m_total));
        // A new peer may be a seed whose bitfield has not arrived yet.
        auto const is_target = !peer.seed && m_looked_at.contains(*id);
        auto* known = find(*id, where, port);
        if (known == nullptr) {
            auto const several = std::ranges::any_of(m_hosts, [&](host const& each) {
                return std::ranges::find(each.addresses, where) != each.addresses.end();
            });
            if (!is_target || several || (where.is_v6() && !is_expected(where))) {
                continue;
            }
            known = &add(where, port);
            known->id = *id;
            start(*known, left, now);
        }
        auto& which = *known;
        connected.push_back(&which);
        which.connected = true;
        which.away.reset();
        which.seen = now;
        which.sent_rate = static_cast<double>(peer.upload_rate);
        if (which.state == state_kind::fetching && peer.seed) {
            on_all_pieces(which, now);
        } else if (which.state == state_kind::fetching) {
            measure(which, left, now);
            which.fetched = std::max<std::int64_t>(which.fetched, which.announced ? 0 : m_total - left);
        } else if (is_target && !same_run(which.id, *id) && (is_seedbed(*id) || now - which.ended > look_delay)) {
            start(which, left, now); // else the swarm's view is older than its last announce or report
        }
        if (is_target || peer.seed) {
            which.id = *id;
        }
    }
    m_looked_at = std::move(looked_at);
    for (auto& each : m_hosts) {
        if (each.connected && std::ranges::find(connected, &each) == connected.end()) {
            each.connected = false;
            each.away = now;
            each.rate = 0; // until it announces progress from other peers
            each.sent_rate = 0;
            m_unsaid = true;
        }
    }
}

void fleet::on_report(host_report const& report, clock::time_point now) {
    auto* known = find({}, report.host.address(), report.host.port());
    auto& which = known == nullptr ? add(report.host.address(), report.host.port()) : *known;
    auto const at = now - report.age;
    which.port = report.host.port();
    which.announced = true;
    which.seen = now;
    if (report.outcome == host_report::outcome_kind::failed) {
        auto const same = which.state == state_kind::failed && which.failure == report.reason;
        auto const later = which.state == state_kind::fetching && which.started > at;
        if (at >= m_round_began && !same && !later) {
            which.state = state_kind::failed;
            which.failure = report.reason;
            which.ended = at;
            which.stopped.reset();
            m_unsaid = true;
            say(log_level::warning, fmt::format("{} failed: {}", name_of(which), report.reason), &which);
        }
        return;
    }
    auto const later = which.state == state_kind::fetching && which.started > at;
    if (which.state == state_kind::complete || at < m_round_began || later) {
        return; // a repetition, or of an earlier round or run
    }
    if (which.state != state_kind::fetching && which.state != state_kind::fetched) {
        which.started = at - report.taken;
    }
    which.fetched = report.bytes;
    finish(which, report.outcome == host_report::outcome_kind::verified ? host_state::verified : host_state::durable,
           at);
}

void fleet::on_tick(clock::time_point now) {
    for (auto& each : m_hosts) {
        auto const under_way = each.state == state_kind::fetching || each.state == state_kind::fetched;
        if (under_way && !each.stopped && !each.connected && now - each.seen > each.patience) {
            lose(each,
                 fmt::format("lost contact with {} for {}: {}", name_of(each), format_duration(now - each.seen),
                             describe(each, now)),
                 now);
        }
    }
    if (m_unsaid && m_first_start && now - m_summarised >= summary_interval) {
        m_summarised = now;
        m_unsaid = false;
        if (auto const going = stragglers(most_named, now); !going.empty()) {
            say(log_level::info, fmt::format("{} complete; remaining: {}", count(), going));
        }
    }
}

bool fleet::is_moving() const {
    return std::ranges::any_of(m_hosts,
                               [](host const& each) {
                                   return !each.stopped &&
                                          (each.state == state_kind::fetching || each.state == state_kind::fetched);
                               }) ||
           (m_unsaid && m_first_start && !m_deployed);
}

std::vector<fleet::line> fleet::take_lines() {
    return std::exchange(m_lines, {});
}

bool fleet::take_completed() {
    return std::exchange(m_completed, false);
}

} // namespace seedbed
