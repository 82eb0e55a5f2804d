// A fleet's round as a text that outlives the daemon: hosts that are complete or have failed, and the round's times.
// Hosts in progress are omitted: they announce themselves again.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <functional>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"
#include "daemon/fleet/fleet.hpp"
#include "daemon/http/query_string.hpp"

namespace seedbed {

namespace {

using boost::asio::ip::address;
using nlohmann::json;
using std::chrono::milliseconds;
using wall_clock = std::chrono::system_clock;

constexpr int record_format = 1;
/// Of a failure message, as host_report limits it.
constexpr std::size_t longest_failure = 300;
/// Ten years: older times are treated alike.
constexpr std::int64_t longest_age = 10LL * 366 * 24 * 3600 * 1000;

} // namespace

/// Times of the steady clock as milliseconds since 1970, and back.
struct fleet::time_base {
    fleet::clock::time_point now;
    wall_clock::time_point wall;

    [[nodiscard]] std::int64_t write(fleet::clock::time_point time) const {
        auto const age = std::chrono::duration_cast<milliseconds>(now - time);
        return std::chrono::duration_cast<milliseconds>(wall.time_since_epoch()).count() -
               std::min(age.count(), longest_age);
    }
    /// Never later than now, even if the wall clock has been set.
    [[nodiscard]] fleet::clock::time_point read(std::int64_t time) const {
        auto const present = std::chrono::duration_cast<milliseconds>(wall.time_since_epoch()).count();
        auto const then = std::clamp(time, present - longest_age, present);
        return now - milliseconds(present - then);
    }
};

namespace {

std::optional<std::int64_t> integer(json const& object, char const* key) {
    auto const at = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || at == object.end() || !at->is_number_integer() ||
        (at->is_number_unsigned() && at->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())) {
        return std::nullopt;
    }
    return at->get<std::int64_t>();
}

std::string text_of(json const& object, char const* key) {
    auto const at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : "";
}

bool flag(json const& object, char const* key) {
    auto const at = object.find(key);
    return at != object.end() && at->is_boolean() && at->get<bool>();
}

std::optional<host_state> complete_state(std::string const& text) {
    auto const* const at = std::ranges::find_if(
        host_states, [&text](host_state each) { return is_complete(each) && text == to_string(each); });
    return at == host_states.end() ? std::nullopt : std::optional(*at);
}

std::string bytes_of(json const& object, char const* key) {
    auto const query = query_string::parse("?value=" + text_of(object, key));
    return query ? std::string(query->find("value").value_or("")) : "";
}

std::vector<address> addresses_of(json const& saved) {
    std::vector<address> addresses;
    auto const at = saved.is_object() ? saved.find("addresses") : saved.end();
    if (!saved.is_object() || at == saved.end() || !at->is_array()) {
        return addresses;
    }
    for (auto const& each : *at) {
        boost::system::error_code ec;
        auto const where = boost::asio::ip::make_address(each.is_string() ? each.get<std::string>() : "", ec);
        if (!ec) {
            addresses.push_back(where);
        }
    }
    return addresses;
}

} // namespace

/// The part of a known_host that is saved.
struct fleet::saved_host {
    std::vector<address> addresses;
    std::uint16_t port;
    host_state state;
    std::int64_t bytes;
    std::int64_t started; ///< milliseconds since 1970
    std::int64_t ended;   ///< the same
    bool announced;
    std::string id;
    std::string key;
    std::optional<std::string> failure;

    [[nodiscard]] json to_json() const {
        json host = {{"port", port},   {"state", to_string(state)}, {"bytes", bytes}, {"started", started},
                     {"ended", ended}, {"announced", announced}};
        for (auto const& where : addresses) {
            host["addresses"].push_back(where.to_string());
        }
        host["id"] = percent_encoded(id);
        host["key"] = percent_encoded(key);
        if (failure) {
            host["failure"] = *failure;
        }
        return host;
    }
};

std::function<std::string()> fleet::record(clock::time_point now, wall_clock::time_point wall) const {
    time_base const times{now, wall};
    json document = {{"format", record_format}, {"deployed", m_deployed}, {"hosts", json::array()}};
    if (m_round_began != clock::time_point::min()) {
        document["round_began"] = times.write(m_round_began);
    }
    if (m_first_start) {
        document["started"] = times.write(*m_first_start);
    }
    if (m_deployed) {
        document["ended"] = times.write(m_ended);
    }
    std::vector<saved_host> hosts;
    for (auto const& each : m_hosts.all()) {
        auto const failed = each.phase() == host_phase::failed;
        if (failed || each.phase() == host_phase::complete) {
            hosts.push_back({each.addresses, each.port, state_of(each), each.fetched, times.write(each.started),
                             times.write(each.ended), each.announced, each.id(), each.key,
                             failed ? std::optional(each.failure) : std::nullopt});
        }
    }
    return [document = std::move(document), hosts = std::move(hosts)] {
        auto all = document;
        for (auto const& each : hosts) {
            all["hosts"].push_back(each.to_json());
        }
        return all.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
    };
}

result<void> fleet::restore(json const& record, clock::time_point now, wall_clock::time_point wall) {
    if (!record.is_object() || integer(record, "format") != record_format || !record.contains("hosts") ||
        !record["hosts"].is_array()) {
        return tl::unexpected(error{"damaged, or of another version"});
    }
    time_base const times{now, wall};
    if (auto const began = integer(record, "round_began")) {
        m_round_began = times.read(*began);
    }
    if (auto const started = integer(record, "started")) {
        m_first_start = std::min(m_first_start.value_or(now), times.read(*started));
        m_summarised = now;
    }
    std::set<address> heard;
    for (auto const& each : m_hosts.all()) {
        heard.insert(each.addresses.begin(), each.addresses.end());
    }
    std::size_t damaged = 0;
    for (auto const& each : record["hosts"]) {
        damaged += restore_host(each, times, heard) ? 0 : 1;
    }
    auto const wanted = expected();
    if (flag(record, "deployed") && wanted && complete() >= *wanted) {
        m_deployed = true; // and its consequences have run
        m_ended = times.read(integer(record, "ended").value_or(0));
    }
    check_deployed(now);
    if (damaged > 0) {
        return tl::unexpected(error{fmt::format("{} damaged", format_count(damaged, "host"))});
    }
    return {};
}

bool fleet::restore_host(json const& saved, time_base const& times, std::set<address> const& heard) {
    auto const addresses = addresses_of(saved);
    auto const port = integer(saved, "port").value_or(0);
    auto const state = text_of(saved, "state");
    auto const proof = complete_state(state);
    auto const refused = state == to_string(host_state::refused);
    auto const failed = refused || state == to_string(host_state::failed);
    auto const started = integer(saved, "started");
    auto const ended = integer(saved, "ended");
    if (addresses.empty() || port < 0 || port > 65535 || (!proof && !failed) || !started || !ended) {
        return false;
    }
    if (std::ranges::any_of(addresses, [&heard](address const& each) { return heard.contains(each); })) {
        return true; // its newer messages count
    }
    auto* const host = m_hosts.add(addresses.front(), static_cast<std::uint16_t>(port), times.read(*ended));
    if (host == nullptr) {
        return true;
    }
    std::for_each(addresses.begin() + 1, addresses.end(),
                  [&](address const& each) { m_hosts.add_address(*host, each); });
    if (auto const id = bytes_of(saved, "id"); id.size() == 20) {
        m_hosts.set_id(*host, id);
    }
    host->key = bytes_of(saved, "key");
    host->announced = flag(saved, "announced");
    host->started = times.read(*started);
    host->ended = times.read(*ended);
    host->fetched = std::max<std::int64_t>(integer(saved, "bytes").value_or(0), 0);
    host->proof = proof.value_or(host_state::pieces);
    host->failure = failed ? printable(text_of(saved, "failure")).substr(0, longest_failure) : "";
    host->refused = refused;
    m_hosts.set_phase(*host, failed ? host_phase::failed : host_phase::complete);
    return true;
}

} // namespace seedbed
