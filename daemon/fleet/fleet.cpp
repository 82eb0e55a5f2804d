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

/// How often the stragglers are named while they move.
constexpr auto summary_interval = 60s;
/// Two looks at a host's progress that are closer give no rate.
constexpr auto shortest_look = 2s;
/// And a host that has come no further for so long has none.
constexpr std::chrono::seconds longest_look{30};
/// How long a host without a tracker may be away before it counts as gone: while it verifies, nothing is heard of it.
constexpr auto peer_patience = 600s;
/// By how much what a peer is known to have may be behind what it has said itself.
constexpr auto look_delay = 30s;
/// How many stragglers one line names.
constexpr std::size_t most_named = 5;

bool is_seedbed(std::string const& id) {
    return id.starts_with("-SB");
}

/// Whether two peer ids are of one run of a client. Seedbed's begin with what is its process's own
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
    if (!same) { // what a deployment is has changed, and may be there already
        m_deployed = false;
        check_deployed(now);
    }
}

// --- who is who

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
            found = &each; // started again, with another id
        }
    }
    if (found != nullptr || port == 0) {
        return found != nullptr ? found : only_one_at(where);
    }
    auto* const only = only_one_at(where);
    return only != nullptr && only->port == 0 ? only : stale_one_at(where); // or started again with another port
}

fleet::host& fleet::add(address const& where, std::uint16_t port) {
    if (m_hosts.size() >= m_limit) {
        // The one that nobody has heard of for longest, and of which nothing depends.
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
    auto const text = where.to_string();
    if (!shared || which.port == 0) {
        return text;
    }
    return where.is_v6() ? fmt::format("[{}]:{}", text, which.port) : fmt::format("{}:{}", text, which.port);
}

// --- what happens

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
    say(log_level::info, fmt::format("a new round begins: {} has started", name_of(first)), &first);
}

void fleet::start(host& which, std::int64_t left, clock::time_point now) {
    auto const again = which.state == state_kind::fetching || which.state == state_kind::fetched;
    if (m_deployed && !again) {
        begin_round(which, now);
    } else if (which.state == state_kind::complete) {
        say(log_level::info, fmt::format("{} has started again", name_of(which)), &which);
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
        return; // whole pieces are what is told: a slow host has none for a while
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
        text += "; still going: " + stragglers(most_named, at);
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

void fleet::lose(host& which, std::string const& how, clock::time_point now) {
    which.stopped = now;
    which.connected = false;
    m_unsaid = true;
    say(log_level::warning, fmt::format("{} {}", name_of(which), how), &which);
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
    if (said.left > 0 && which.state != state_kind::fetching && !stops) {
        start(which, said.left, now);
    } else if (said.left > 0 && which.state == state_kind::fetching && !which.stopped) {
        measure(which, said.left, now);
    } else if (said.left > 0 && which.state == state_kind::fetching && !stops) {
        start(which, said.left, now); // it is back
    } else if (said.left == 0 && which.state == state_kind::fetching) {
        on_all_pieces(which, now); // aria2 says so with "stopped" only, where it does not seed
    } else if (said.left == 0 && which.state == state_kind::fetched && !stops) {
        which.stopped.reset();
    } else if (said.left == 0 && which.state == state_kind::earlier &&
               (said.event == event::completed || (is_new && is_expected(which)))) {
        which.started = now;
        on_all_pieces(which, now);
    }
    if (stops && under_way && !which.stopped && which.state != state_kind::complete) {
        lose(which,
             which.state == state_kind::fetched ? "has stopped before it was verified"
                                                : "has stopped: " + describe(which, now),
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
        // At first a peer that has everything has not said so yet.
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
            start(which, left, now); // otherwise it is a look that is older than its last word
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
            each.rate = 0; // until it announces that it goes on elsewhere
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
            say(log_level::warning, fmt::format("{} has failed: {}", name_of(which), report.reason), &which);
        }
        return;
    }
    auto const later = which.state == state_kind::fetching && which.started > at;
    if (which.state == state_kind::complete || at < m_round_began || later) {
        return; // it repeats what is known, or speaks of an earlier round or run
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
                 fmt::format("is gone: nothing was heard of it for {}; {}", format_duration(now - each.seen),
                             describe(each, now)),
                 now);
        }
    }
    if (m_unsaid && m_first_start && now - m_summarised >= summary_interval) {
        m_summarised = now;
        m_unsaid = false;
        if (auto const going = stragglers(most_named, now); !going.empty()) {
            say(log_level::info, fmt::format("{} complete; still going: {}", count(), going));
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
