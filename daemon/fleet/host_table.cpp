#include "daemon/fleet/host_table.hpp"

#include <algorithm>
#include <utility>

#include "daemon/http/tcp_endpoint.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

/// A host has one address for IPv4, and possibly one per prefix for IPv6.
constexpr std::size_t most_addresses = 8;
/// The part of a full table to evict at once, so that not every new host pays for the search.
constexpr std::size_t share_evicted = 16;
/// The number of leading bytes that the peer ids of all connections of one Seedbed process have in common.
constexpr std::size_t own_run = 14;

/// The part that the peer ids of one run of a client have in common.
std::string_view run_of(std::string_view id) {
    return is_seedbed(id) ? id.substr(0, own_run) : id;
}

/// Whether only the host itself can have sent an announce with \p key. Some clients send a part of their peer id
/// (aria2).
bool proves(known_host const& host, std::string const& id, std::string const& key) {
    return !key.empty() && key == host.key && id.find(key) == std::string::npos;
}

bool can_go(known_host const& host) {
    return host.phase() != host_phase::complete && !(host.connected && !host.stopped());
}

} // namespace

bool is_seedbed(std::string_view id) noexcept {
    return id.starts_with("-SB");
}

bool same_run(std::string_view a, std::string_view b) noexcept {
    return run_of(a) == run_of(b);
}

// --- recognising

host_table::match host_table::find(address const& where, std::uint16_t port, std::string const& id,
                                   std::string const& key) {
    known_host* by_port = nullptr; // restarted, with a different id
    known_host* stale = nullptr;   // or with a different port
    known_host* only = nullptr;
    if (auto const at = m_sites.find(where); at != m_sites.end()) {
        for (auto* const each : at->second.hosts) {
            if (!id.empty() && same_run(each->id(), id)) {
                return {each};
            }
            by_port = port != 0 && each->port == port ? each : by_port;
            stale = stale == nullptr && each->stopped() ? each : stale;
        }
        only = at->second.hosts.size() == 1 ? at->second.hosts.front() : nullptr;
    }
    if (by_port != nullptr) {
        return {by_port};
    }
    if (only != nullptr && (port == 0 || only->port == 0)) {
        return {only};
    }
    if (port != 0 && stale != nullptr) {
        return {stale};
    }
    if (id.empty()) {
        auto const claimed = m_claims.find(where);
        return claimed == m_claims.end() ? match{} : match{claimed->second, true};
    }
    auto const known = m_by_run.find(std::string(run_of(id)));
    if (known == m_by_run.end() || known->second->stopped()) { // a stopped host may return at another address
        return {};
    }
    auto& host = *known->second;
    if (proves(host, id, key)) {
        add_address(host, where);
        return {&host};
    }
    claim(where, host);
    return {&host, true};
}

void host_table::claim(address const& where, known_host& of) {
    if (m_claims.size() < m_limit || m_claims.contains(where)) {
        m_claims[where] = &of;
        of.m_has_claims = true;
    }
}

void host_table::set_expected(std::vector<ip_address> const& addresses) {
    m_expected = {addresses.begin(), addresses.end()};
    m_complete_expected = 0;
    for (auto const& [where, place] : m_sites) {
        m_complete_expected += place.complete && is_expected(where) ? 1 : 0;
    }
}

bool host_table::is_expected(address const& where) const {
    return !m_expected.empty() && m_expected.contains(to_ip_address(where));
}

bool host_table::is_expected(known_host const& which) const {
    return std::ranges::any_of(which.addresses, [this](address const& where) { return is_expected(where); });
}

bool host_table::is_heard(address const& where) const {
    auto const at = m_sites.find(where);
    return at != m_sites.end() &&
           std::ranges::any_of(at->second.hosts, [](known_host const* each) { return !each->restored; });
}

std::size_t host_table::count_at(address const& where) const {
    auto const at = m_sites.find(where);
    return at == m_sites.end() ? 0 : at->second.hosts.size();
}

// --- adding and removing

known_host* host_table::add(address const& where, std::uint16_t port, clock::time_point now) {
    if (auto const at = m_sites.find(where);
        at != m_sites.end() && at->second.hosts.size() >= most_at_address && !make_room_at(at->second)) {
        return nullptr;
    }
    if (m_hosts.size() >= m_limit && !make_room(now) && !is_expected(where)) {
        return nullptr;
    }
    auto& added = m_hosts.emplace_back();
    added.m_self = std::prev(m_hosts.end());
    added.port = port;
    added.seen = now;
    add_address(added, where);
    return &added;
}

bool host_table::make_room(clock::time_point now) {
    if (now < m_no_room_until) {
        return false;
    }
    std::vector<known_host*> candidates;
    for (auto& each : m_hosts) {
        if (can_go(each) && !is_expected(each)) {
            candidates.push_back(&each);
        }
    }
    if (candidates.empty()) {
        m_no_room_until = now + 1s;
        return false;
    }
    auto const count = std::clamp<std::size_t>(m_limit / share_evicted, 1, candidates.size());
    auto const last = candidates.begin() + static_cast<std::ptrdiff_t>(count - 1);
    std::ranges::nth_element(candidates, last, {}, [](known_host const* each) { return each->seen; });
    std::for_each(candidates.begin(), std::next(last), [this](known_host* each) { erase(*each); });
    return true;
}

bool host_table::make_room_at(site& where) {
    known_host* oldest = nullptr;
    for (auto* const each : where.hosts) {
        if (can_go(*each) && (oldest == nullptr || each->seen < oldest->seen)) {
            oldest = each;
        }
    }
    if (oldest != nullptr) {
        erase(*oldest);
    }
    return oldest != nullptr;
}

void host_table::add_address(known_host& which, address const& where) {
    if (which.addresses.size() >= most_addresses) {
        return;
    }
    which.addresses.push_back(where);
    m_sites[where].hosts.push_back(&which);
    m_claims.erase(where);
    recount(where);
}

void host_table::erase(known_host& which) {
    if (which.m_has_claims) {
        std::erase_if(m_claims, [&](auto const& each) { return each.second == &which; });
    }
    set_id(which, {});
    for (auto const& where : which.addresses) {
        std::erase(m_sites[where].hosts, &which);
        recount(where);
        if (m_sites[where].hosts.empty()) {
            m_sites.erase(where);
        }
    }
    m_moving -= which.m_counts_as_moving ? 1 : 0;
    m_hosts.erase(which.m_self);
}

// --- changes

void host_table::set_id(known_host& which, std::string id) {
    if (which.m_id == id) {
        return;
    }
    auto const old = m_by_run.find(std::string(run_of(which.m_id)));
    if (old != m_by_run.end() && old->second == &which) {
        m_by_run.erase(old);
    }
    which.m_id = std::move(id);
    if (!which.m_id.empty()) {
        m_by_run.insert_or_assign(std::string(run_of(which.m_id)), &which);
    }
}

void host_table::set_phase(known_host& which, host_phase phase) {
    which.m_phase = phase;
    which.m_stopped.reset();
    recount(which);
}

void host_table::stop(known_host& which, clock::time_point at) {
    which.m_stopped = at;
    recount(which);
}

void host_table::resume(known_host& which) {
    which.m_stopped.reset();
    recount(which);
}

void host_table::recount(known_host& which) {
    m_moving -= which.m_counts_as_moving ? 1 : 0;
    which.m_counts_as_moving = which.moving();
    m_moving += which.m_counts_as_moving ? 1 : 0;
    for (auto const& where : which.addresses) {
        recount(where);
    }
}

void host_table::recount(address const& where) {
    auto& place = m_sites[where];
    auto const moving = std::ranges::any_of(place.hosts, &known_host::moving);
    auto const is_complete = [](known_host const* each) { return each->phase() == host_phase::complete; };
    auto const complete = !moving && std::ranges::any_of(place.hosts, is_complete);
    auto const named = complete && std::ranges::any_of(place.hosts, [&](known_host const* each) {
                           return is_complete(each) && each->addresses.front() == where;
                       });
    auto const one = [](bool counts) { return counts ? std::size_t{1} : std::size_t{0}; };
    if (is_expected(where)) {
        m_complete_expected = m_complete_expected + one(complete) - one(place.complete);
    }
    m_complete = m_complete + one(named) - one(place.named);
    place.complete = complete;
    place.named = named;
}

bool host_table::invariant_holds() const {
    std::size_t named = 0;
    std::size_t expected = 0;
    std::size_t entries = 0;
    for (auto const& [where, place] : m_sites) {
        named += place.named ? 1 : 0;
        expected += place.complete && is_expected(where) ? 1 : 0;
        entries += place.hosts.size();
        if (place.hosts.empty()) {
            return false;
        }
    }
    std::size_t addresses = 0;
    std::size_t moving = 0;
    for (auto const& each : m_hosts) {
        addresses += each.addresses.size();
        moving += each.moving() ? 1 : 0;
    }
    return named == m_complete && expected == m_complete_expected && entries == addresses && moving == m_moving;
}

} // namespace seedbed
