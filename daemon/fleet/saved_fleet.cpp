#include "daemon/fleet/saved_fleet.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/foundation/printable.hpp"
#include "daemon/fleet/target_facts.hpp"
#include "daemon/http/query_string.hpp"
#include "daemon/text/json_members.hpp"

namespace seedbed {

namespace {

using boost::asio::ip::address;
using nlohmann::json;

constexpr int record_format = 1;
/// Of a failure message, as host_report limits it.
constexpr std::size_t longest_failure = 300;

std::optional<std::int64_t> integer(json const& object, char const* key) {
    auto const at = object.is_object() ? object.find(key) : object.end();
    if (!object.is_object() || at == object.end() || !at->is_number_integer() ||
        (at->is_number_unsigned() && at->get<std::uint64_t>() > std::numeric_limits<std::int64_t>::max())) {
        return std::nullopt;
    }
    return at->get<std::int64_t>();
}

bool flag(json const& object, char const* key) {
    auto const at = object.find(key);
    return at != object.end() && at->is_boolean() && at->get<bool>();
}

std::optional<host_state> ended_state(std::string_view text) {
    auto const* const at = std::ranges::find_if(host_states, [text](host_state each) {
        auto const ended = is_complete(each) || each == host_state::failed || each == host_state::refused;
        return ended && text == to_string(each);
    });
    return at == host_states.end() ? std::nullopt : std::optional(*at);
}

std::string bytes_of(json const& object, char const* key) {
    auto const query = query_string::parse("?value=" + member_text(object, key));
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

json json_of(saved_fleet::host const& host) {
    json made = {{"port", host.port},   {"state", to_string(host.state)},
                 {"bytes", host.bytes}, {"started", host.started},
                 {"ended", host.ended}, {"announced", host.announced}};
    for (auto const& where : host.addresses) {
        made["addresses"].push_back(where.to_string());
    }
    made["id"] = percent_encoded(host.id);
    made["key"] = percent_encoded(host.key);
    if (!is_complete(host.state)) {
        made["failure"] = host.failure;
    }
    if (!host.device.empty()) {
        made["device"] = host.device;
    }
    if (host.disk_class) {
        made["class"] = to_string(*host.disk_class);
    }
    return made;
}

/// Nothing if it is damaged.
std::optional<saved_fleet::host> host_of(json const& saved) {
    saved_fleet::host host;
    host.addresses = addresses_of(saved);
    auto const port = integer(saved, "port").value_or(0);
    auto const started = integer(saved, "started");
    auto const ended = integer(saved, "ended");
    if (host.addresses.empty() || port < 0 || port > 65535 || !started || !ended) {
        return std::nullopt;
    }
    auto const state = ended_state(member_text(saved, "state"));
    if (!state) {
        return std::nullopt;
    }
    host.port = static_cast<std::uint16_t>(port);
    host.state = *state;
    host.bytes = std::max<std::int64_t>(integer(saved, "bytes").value_or(0), 0);
    host.started = *started;
    host.ended = *ended;
    host.announced = flag(saved, "announced");
    if (auto id = bytes_of(saved, "id"); id.size() == 20) {
        host.id = std::move(id);
    }
    host.key = bytes_of(saved, "key");
    if (!is_complete(*state)) {
        host.failure = printable(member_text(saved, "failure")).substr(0, longest_failure);
    }
    host.device = printable(member_text(saved, "device")).substr(0, longest_fact);
    host.disk_class = parse_storage_class(member_text(saved, "class"));
    return host;
}

} // namespace

std::string saved_fleet::text() const {
    json document = {{"format", record_format}, {"deployed", deployed}, {"hosts", json::array()}};
    for (auto const& [key, time] :
         {std::pair("round_began", round_began), std::pair("started", started), std::pair("ended", ended)}) {
        if (time) {
            document[key] = *time;
        }
    }
    for (auto const& each : hosts) {
        document["hosts"].push_back(json_of(each));
    }
    return document.dump(1, ' ', false, json::error_handler_t::replace) + "\n";
}

result<saved_fleet> saved_fleet::from_json(json const& document) {
    if (!document.is_object() || integer(document, "format") != record_format || !document.contains("hosts") ||
        !document["hosts"].is_array()) {
        return tl::unexpected(error{"damaged, or of another version"});
    }
    saved_fleet saved;
    saved.deployed = flag(document, "deployed");
    saved.round_began = integer(document, "round_began");
    saved.started = integer(document, "started");
    saved.ended = integer(document, "ended");
    saved.hosts.reserve(document["hosts"].size());
    for (auto const& each : document["hosts"]) {
        if (auto host = host_of(each)) {
            saved.hosts.push_back(std::move(*host));
        } else {
            ++saved.damaged;
        }
    }
    return saved;
}

} // namespace seedbed
