#include "daemon/fleet/fleet.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/format_count.hpp"
#include "daemon/http/query_string.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;
using boost::asio::ip::address;

/// How often the stragglers are logged while they make progress.
constexpr auto summary_interval = 60s;
/// The last hosts are named each time that one is complete, but more than a few at most once in this time: collecting
/// them takes 0.3 ms with 10,000 hosts.
constexpr std::size_t few_missing = 10;
constexpr auto shortest_summary = 1s;
/// The shortest time over which a rate is measured.
constexpr auto shortest_look = 2s;
/// A host without progress for this long has a rate of 0.
constexpr std::chrono::seconds longest_look{30};
/// How far the session's view of a peer may lag behind the peer's own announces and reports.
constexpr auto look_delay = 30s;
/// Stragglers named in a log line.
constexpr std::size_t most_named = 5;

/// Limits for lines of one kind: the burst, and the interval after which one more is allowed.
constexpr int most_lines = 256;
constexpr auto line_interval = 250ms;

} // namespace

fleet::fleet(std::int64_t total_bytes, fleet_settings wanted, std::size_t limit)
    : m_total(total_bytes)
    , m_settings(std::move(wanted))
    , m_hosts(limit)
    , m_line_limits{line_limit(most_lines, line_interval), line_limit(most_lines, line_interval),
                    line_limit(most_lines, line_interval), line_limit(most_lines, line_interval)} {
    m_hosts.set_expected(m_settings.expect_hosts);
}

void fleet::set_settings(fleet_settings wanted, std::size_t limit, clock::time_point now) {
    m_hosts.set_limit(limit);
    auto const same = wanted.expect == m_settings.expect && wanted.expect_hosts == m_settings.expect_hosts;
    m_settings = std::move(wanted);
    if (!same) { // the deployment may be complete under the new settings
        m_hosts.set_expected(m_settings.expect_hosts);
        m_deployed = false;
        check_deployed(now);
    }
}

bool fleet::is_wanted(known_host const& which) const {
    return m_settings.expect_hosts.empty() || m_hosts.is_expected(which);
}

std::string fleet::name_of(known_host const& which) const {
    return name_of(which, m_hosts.count_at(which.addresses.front()) > 1);
}

std::string fleet::name_of(known_host const& which, bool shared) {
    auto const& where = which.addresses.front();
    auto text = where.to_string();
    if (!shared || which.port == 0) {
        return text;
    }
    return where.is_v6() ? fmt::format("[{}]:{}", text, which.port) : fmt::format("{}:{}", text, which.port);
}

// --- events

void fleet::say(line_kind kind, clock::time_point now, std::string text, known_host const* about) {
    if (kind != line_kind::fleet && !m_line_limits.at(static_cast<std::size_t>(kind)).take(now)) {
        return;
    }
    auto const level = kind == line_kind::failed || kind == line_kind::stopped ? log_level::warning : log_level::info;
    m_lines.push_back({level, std::move(text), about != nullptr ? about->addresses.front().to_string() : ""});
}

void fleet::say_left_out(line_kind kind, clock::time_point now) {
    constexpr std::array<char const*, 4> words{"complete", "failed", "stopped", "restarted"};
    auto const at = static_cast<std::size_t>(kind);
    if (auto const count = m_line_limits.at(at).take_left_out(now); count > 0) {
        m_lines.push_back(
            {log_level::warning,
             fmt::format("left out {} about {} hosts: too many at once", format_count(count, "line"), words.at(at)),
             ""});
    }
}

void fleet::begin_round(known_host const& first, clock::time_point now) {
    for (auto& each : m_hosts.all()) {
        if (&each != &first && (each.phase() != host_phase::fetching || each.stopped())) {
            m_hosts.set_phase(each, host_phase::earlier);
        }
    }
    m_deployed = false;
    m_first_start.reset();
    m_round_began = now;
    m_changed = true;
    say(line_kind::restarted, now, fmt::format("new round: {} has started", name_of(first)), &first);
}

void fleet::start(known_host& which, std::int64_t left, clock::time_point now) {
    auto const again = which.under_way();
    m_changed = m_changed || which.phase() == host_phase::complete || which.phase() == host_phase::failed;
    if (m_deployed && !again && !m_reports_only) { // announces can come from any client
        begin_round(which, now);
    } else if (which.phase() == host_phase::complete) {
        say(line_kind::restarted, now, fmt::format("{} has restarted", name_of(which)), &which);
    }
    if (!again) {
        which.started = now;
        which.fetched = 0;
    }
    m_hosts.set_phase(which, host_phase::fetching);
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

void fleet::measure(known_host& which, std::int64_t left, clock::time_point now) {
    if (which.stopped()) {
        m_hosts.resume(which);
        m_unsaid = true;
    }
    which.left = left;
    if (now - which.measured < shortest_look) {
        return;
    }
    auto const moved = std::max<std::int64_t>(which.measured_left - left, 0);
    if (moved == 0 && now - which.measured < longest_look) {
        return; // progress comes in whole pieces, which a slow host rarely completes
    }
    which.rate = static_cast<double>(moved) / std::chrono::duration<double>(now - which.measured).count();
    which.measured = now;
    which.measured_left = left;
    m_unsaid = m_unsaid || moved > 0;
}

void fleet::on_all_pieces(known_host& which, clock::time_point now) {
    which.left = 0;
    if (m_reports_only || (is_seedbed(which.id()) && (which.announced || m_takes_reports))) {
        m_hosts.set_phase(which, host_phase::fetched);
        m_unsaid = true;
    } else {
        finish(which, host_state::pieces, now);
    }
}

void fleet::finish(known_host& which, host_state proof, clock::time_point at) {
    auto const before = complete();
    m_hosts.set_phase(which, host_phase::complete);
    m_changed = true;
    which.proof = proof;
    which.ended = at;
    which.left = 0;
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
    auto const few = missing <= few_missing || at - m_summarised >= shortest_summary;
    if (complete() > before && missing > 0 && missing <= std::max<std::size_t>(*wanted / 10, 1) && few) {
        text += "; remaining: " + stragglers(most_named, at);
        m_summarised = at;
        m_unsaid = false;
    }
    say(line_kind::complete, at, std::move(text), &which);
    check_deployed(at);
}

void fleet::check_deployed(clock::time_point now) {
    auto const wanted = expected();
    if (m_deployed || m_restoring || !wanted || complete() < *wanted) {
        return;
    }
    m_deployed = true;
    m_completed = true;
    m_changed = true;
    m_ended = now;
    say(line_kind::fleet, now,
        fmt::format("deployment complete: {} in {}", count(), format_duration(now - m_first_start.value_or(now))));
}

void fleet::lose(known_host& which, std::string text, clock::time_point now) {
    m_hosts.stop(which, now);
    which.connected = false;
    m_unsaid = true;
    say(line_kind::stopped, now, std::move(text), &which);
}

void fleet::on_announce(announcement const& said, clock::duration patience, clock::time_point now) {
    using event = announcement::event_kind;
    auto [known, claimed] = m_hosts.find(said.peer.address(), said.peer.port(), said.peer_id, said.key);
    auto const is_new = known == nullptr;
    if (is_new && said.event != event::stopped) {
        known = m_hosts.add(said.peer.address(), said.peer.port(), now);
    }
    if (known == nullptr || claimed) {
        return;
    }
    auto& which = *known;
    m_hosts.set_id(which, said.peer_id);
    which.key = said.key;
    which.port = said.peer.port();
    which.announced = true;
    which.patience = patience;
    which.seen = now;
    which.fetched = std::max(which.fetched, said.downloaded);

    auto const stops = said.event == event::stopped;
    if (said.left > 0 && !stops && (which.phase() != host_phase::fetching || which.stopped())) {
        start(which, said.left, now); // the host is new or has returned
    } else if (said.left > 0 && which.phase() == host_phase::fetching && !which.stopped()) {
        measure(which, said.left, now);
    } else if (said.left == 0 && which.phase() == host_phase::fetching) {
        on_all_pieces(which, now); // aria2 announces left=0 only with "stopped", unless it seeds
    } else if (said.left == 0 && which.phase() == host_phase::fetched && !stops) {
        m_hosts.resume(which);
    } else if (said.left == 0 && which.phase() == host_phase::earlier &&
               (said.event == event::completed || (is_new && m_hosts.is_expected(which)))) {
        which.started = now;
        on_all_pieces(which, now);
    }
    if (stops && which.under_way() && !which.stopped()) {
        lose(which,
             name_of(which) + (which.phase() == host_phase::fetched ? " stopped before its image was verified"
                                                                    : " stopped: " + describe(which, now)),
             now);
    }
}

void fleet::on_peers(std::vector<peer_status> const& peers, clock::time_point now) {
    ++m_look;
    std::set<std::string> looked_at;
    for (auto const& peer : peers) {
        boost::system::error_code ec;
        auto const where = boost::asio::ip::make_address(peer.address, ec);
        auto const id = bytes_of_hex(peer.id);
        if (ec || !id) {
            continue;
        }
        looked_at.insert(*id);
        // A new peer may be a seed whose bitfield has not arrived yet.
        on_peer(peer, where, *id, !peer.seed && m_looked_at.contains(*id), now);
    }
    m_looked_at = std::move(looked_at);
    for (auto& each : m_hosts.all()) {
        if (each.connected && each.look != m_look) {
            each.connected = false;
            each.away = now;
            each.rate = 0; // until it announces progress from other peers
            each.sent_rate = 0;
            m_unsaid = true;
        }
    }
}

void fleet::on_peer(peer_status const& peer, address const& where, std::string const& id, bool is_target,
                    clock::time_point now) {
    auto const port = peer.incoming ? std::uint16_t{0} : peer.port;
    auto const left = peer.seed ? 0 : std::llround((1 - peer.fraction) * static_cast<double>(m_total));
    auto [known, claimed] = m_hosts.find(where, port, id);
    if (known == nullptr) {
        auto const hidden = m_hosts.count_at(where) > 0 || (where.is_v6() && !m_hosts.is_expected(where));
        known = is_target && !hidden ? m_hosts.add(where, port, now) : nullptr;
        if (known == nullptr) {
            return;
        }
        m_hosts.set_id(*known, id);
        start(*known, left, now);
    }
    if (claimed) {
        return;
    }
    auto& which = *known;
    which.look = m_look;
    which.connected = true;
    which.away.reset();
    which.seen = now;
    which.sent_rate = static_cast<double>(peer.upload_rate);
    if (which.phase() == host_phase::fetching && peer.seed) {
        on_all_pieces(which, now);
    } else if (which.phase() == host_phase::fetching) {
        measure(which, left, now);
        which.fetched = std::max<std::int64_t>(which.fetched, which.announced ? 0 : m_total - left);
    } else if (is_target && !same_run(which.id(), id) && (is_seedbed(id) || now - which.ended > look_delay)) {
        start(which, left, now); // otherwise the session's view is older than its last announce or report
    }
    if (is_target || peer.seed) {
        m_hosts.set_id(which, id);
    }
}

void fleet::on_report(host_report const& report, clock::time_point now) {
    auto [known, claimed] = m_hosts.find(report.host.address(), report.host.port());
    if (known == nullptr) {
        known = m_hosts.add(report.host.address(), report.host.port(), now);
    }
    if (known == nullptr || claimed) {
        return;
    }
    auto& which = *known;
    if (report.outcome == host_report::outcome_kind::started) {
        which.device = report.facts.device;
        which.disk_class = report.facts.cls;
        return;
    }
    auto const at = now - report.age;
    which.port = report.host.port();
    which.announced = true;
    which.seen = now;
    auto const later = which.phase() == host_phase::fetching && which.started > at;
    if (at < m_round_began || later) {
        return; // from an earlier round or run
    }
    which.device = report.facts.device;
    which.disk_class = report.facts.cls;
    if (report.outcome == host_report::outcome_kind::failed || report.outcome == host_report::outcome_kind::refused) {
        on_failure(which, report, now);
        return;
    }
    if (auto const began = at - report.taken; m_reports_only && m_deployed && began > m_ended) {
        begin_round(which, began);
        m_hosts.set_phase(which, host_phase::earlier);
        m_first_start = began;
    }
    if (which.phase() == host_phase::complete || !which.changes.take(now)) {
        return; // a repetition, or one change too many; in the latter case, the host will repeat its report
    }
    if (!which.under_way()) {
        which.started = at - report.taken;
    }
    which.fetched = report.bytes;
    finish(which, report.outcome == host_report::outcome_kind::verified ? host_state::verified : host_state::durable,
           at);
}

void fleet::on_failure(known_host& which, host_report const& report, clock::time_point now) {
    auto const refused = report.outcome == host_report::outcome_kind::refused;
    auto const same = which.phase() == host_phase::failed && which.failure == report.reason && which.refused == refused;
    if (same || !which.changes.take(now)) {
        return;
    }
    m_hosts.set_phase(which, host_phase::failed);
    m_changed = true;
    which.failure = report.reason;
    which.refused = refused;
    if (refused) {
        which.started = now - report.age - report.taken;
    }
    which.ended = now - report.age;
    m_unsaid = true;
    say(line_kind::failed, now, fmt::format("{} {}: {}", name_of(which), refused ? "refused" : "failed", report.reason),
        &which);
}

void fleet::on_tick(clock::time_point now) {
    for (auto const kind : {line_kind::complete, line_kind::failed, line_kind::stopped, line_kind::restarted}) {
        say_left_out(kind, now);
    }
    for (auto& each : m_hosts.all()) {
        if (each.moving() && !each.connected && now - each.seen > each.patience) {
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
            say(line_kind::fleet, now, fmt::format("{} complete; remaining: {}", count(), going));
        }
    }
}

bool fleet::is_moving() const {
    return m_hosts.moving() > 0 || std::ranges::any_of(m_line_limits, &line_limit::has_left_out) ||
           (m_unsaid && m_first_start && !m_deployed);
}

std::vector<fleet::line> fleet::take_lines() {
    return std::exchange(m_lines, {});
}

bool fleet::take_completed() {
    return std::exchange(m_completed, false);
}

} // namespace seedbed
