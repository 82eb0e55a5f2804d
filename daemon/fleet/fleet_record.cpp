// A fleet's round as a saved_fleet, and back.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>

#include <boost/asio/ip/address.hpp>

#include "daemon/fleet/fleet.hpp"

namespace seedbed {

namespace {

using std::chrono::milliseconds;
using wall_clock = std::chrono::system_clock;

/// Ten years: older times are treated alike.
constexpr std::int64_t longest_age = 10LL * 366 * 24 * 3600 * 1000;

} // namespace

std::int64_t fleet::time_base::write(clock::time_point time) const {
    auto const age = std::chrono::duration_cast<milliseconds>(now - time);
    return std::chrono::duration_cast<milliseconds>(wall.time_since_epoch()).count() -
           std::min(age.count(), longest_age);
}

fleet::clock::time_point fleet::time_base::read(std::int64_t time) const {
    auto const present = std::chrono::duration_cast<milliseconds>(wall.time_since_epoch()).count();
    auto const then = std::clamp(time, present - longest_age, present);
    return now - milliseconds(present - then);
}

saved_fleet fleet::record(clock::time_point now, wall_clock::time_point wall) const {
    time_base const times{now, wall};
    saved_fleet saved;
    saved.deployed = m_deployed;
    if (m_round_began != clock::time_point::min()) {
        saved.round_began = times.write(m_round_began);
    }
    if (m_first_start) {
        saved.started = times.write(*m_first_start);
    }
    if (m_deployed) {
        saved.ended = times.write(m_ended);
    }
    for (auto const& each : m_hosts.all()) {
        if (each.phase() == host_phase::failed || each.phase() == host_phase::complete) {
            saved.hosts.push_back({each.addresses, each.port, state_of(each), each.fetched, times.write(each.started),
                                   times.write(each.ended), each.announced, each.id(), each.key, each.failure,
                                   each.device, each.disk_class});
        }
    }
    return saved;
}

void fleet::begin_restore(std::shared_ptr<saved_fleet const> saved, clock::time_point now,
                          wall_clock::time_point wall) {
    m_restoring = restoration{std::move(saved), {now, wall}, 0};
    auto const& times = m_restoring->times;
    if (auto const began = m_restoring->saved->round_began) {
        m_round_began = times.read(*began);
    }
    if (auto const started = m_restoring->saved->started) {
        m_first_start = std::min(m_first_start.value_or(now), times.read(*started));
        m_summarised = now;
    }
}

bool fleet::restore_some(std::size_t most) {
    if (!m_restoring) {
        return false;
    }
    auto const& saved = *m_restoring->saved;
    auto const end = std::min(saved.hosts.size(), m_restoring->next + most);
    for (auto& next = m_restoring->next; next < end; ++next) {
        restore_host(saved.hosts[next], m_restoring->times);
    }
    if (end < saved.hosts.size()) {
        return true;
    }
    auto const ended = *std::exchange(m_restoring, std::nullopt);
    auto const wanted = expected();
    if (saved.deployed && wanted && complete() >= *wanted) {
        m_deployed = true; // and its consequences have run
        m_ended = ended.times.read(saved.ended.value_or(0));
    }
    check_deployed(ended.times.now);
    return false;
}

void fleet::restore_host(saved_fleet::host const& saved, time_base const& times) {
    auto const heard = [this](boost::asio::ip::address const& each) { return m_hosts.is_heard(each); };
    if (std::ranges::any_of(saved.addresses, heard)) {
        return; // its newer messages count
    }
    auto* const host = m_hosts.add(saved.addresses.front(), saved.port, times.read(saved.ended));
    if (host == nullptr) {
        return;
    }
    host->restored = true;
    std::for_each(saved.addresses.begin() + 1, saved.addresses.end(),
                  [&](boost::asio::ip::address const& each) { m_hosts.add_address(*host, each); });
    if (!saved.id.empty()) {
        m_hosts.set_id(*host, saved.id);
    }
    host->key = saved.key;
    host->announced = saved.announced;
    host->started = times.read(saved.started);
    host->ended = times.read(saved.ended);
    host->fetched = saved.bytes;
    auto const complete = is_complete(saved.state);
    host->proof = complete ? saved.state : host_state::pieces;
    host->failure = saved.failure;
    host->refused = saved.state == host_state::refused;
    host->device = saved.device;
    host->disk_class = saved.disk_class;
    m_hosts.set_phase(*host, complete ? host_phase::complete : host_phase::failed);
}

} // namespace seedbed
