#include "daemon/status/status_document.hpp"

#include <algorithm>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "daemon/text/json_members.hpp"
#include "daemon/text/json_number.hpp"
#include "daemon/text/utc_time.hpp"

namespace seedbed {

namespace {

using json = nlohmann::ordered_json;
using std::chrono::system_clock;

json class_or_null(std::optional<storage_class> const& cls) {
    return cls ? json(to_string(*cls)) : json(nullptr);
}

json to_json(peer_status const& peer) {
    return {{"address", peer.address},
            {"port", peer.port},
            {"incoming", peer.incoming},
            {"id", peer.id},
            {"client", peer.client},
            {"progress", peer.fraction},
            {"seed", peer.seed},
            {"download_rate", peer.download_rate},
            {"upload_rate", peer.upload_rate},
            {"downloaded_bytes", peer.downloaded},
            {"uploaded_bytes", peer.uploaded}};
}

json to_json(fleet_host const& host) {
    return {{"name", host.name},
            {"address", host.address},
            {"port", value_or_null(host.port != 0, host.port)},
            {"state", to_string(host.state)},
            {"expected", host.expected},
            {"connected", host.connected},
            {"failure", text_or_null(host.failure)},
            {"device", text_or_null(host.device)},
            {"class", class_or_null(host.disk_class)},
            {"progress", value_or_null(host.fraction)},
            {"rate", static_cast<std::int64_t>(host.rate)},
            {"fetched_bytes", host.fetched},
            {"seconds", host.seconds},
            {"completed_at", utc_or_null(host.completed)},
            {"last_seen", format_utc(host.seen)},
            {"stopped_seconds", value_or_null(host.stopped_seconds)},
            {"away_seconds", value_or_null(host.away_seconds)}};
}

json to_json(fleet_status const& fleet) {
    json document = {{"expected", value_or_null(fleet.expected)},
                     {"known", fleet.hosts.size()},
                     {"complete", fleet.complete},
                     {"verified", fleet.count(host_state::verified)},
                     {"failed", fleet.count(host_state::failed)},
                     {"refused", fleet.count(host_state::refused)},
                     {"missing", fleet.missing},
                     {"not_seen", fleet.not_seen},
                     {"deployed", fleet.deployed},
                     {"started", utc_or_null(fleet.started)},
                     {"seconds", fleet.seconds},
                     {"hosts", json::array()}};
    for (auto const& host : fleet.hosts) {
        document["hosts"].push_back(to_json(host));
    }
    return document;
}

json to_damage_json(std::map<std::string, int> const& damage) {
    auto list = json::array();
    for (auto const& [peer, pieces] : damage) {
        list.push_back({{"peer", peer}, {"pieces", pieces}});
    }
    return list;
}

json to_json(status_snapshot::image const& image) {
    auto const& status = image.status;
    auto const deploys = status.mode == image_mode::deploy;
    auto document = json{{"name", status.name},
                         {"mode", to_string(status.mode)},
                         {"state", to_string(status.state)},
                         {"failure", text_or_null(status.failure)},
                         {"info_hash", status.info_hash ? json(status.info_hash->to_hex()) : json(nullptr)},
                         {"total_bytes", status.total_bytes},
                         {"unpacked_bytes", value_or_null(status.unpacked_bytes)},
                         {"piece_bytes", status.piece_length},
                         {"pieces", status.piece_count},
                         {"progress", status.fraction},
                         {"left_bytes", status.bytes_left},
                         {"downloaded_bytes", status.downloaded},
                         {"uploaded_bytes", status.uploaded},
                         {"download_rate", status.download_rate},
                         {"upload_rate", status.upload_rate},
                         {"durable", value_or_null(deploys, status.durable)},
                         {"verified", value_or_null(deploys, status.verified)},
                         {"age_seconds", status.age_seconds},
                         {"state_seconds", status.phase_seconds},
                         {"device", status.device},
                         {"class", class_or_null(status.detected)},
                         {"profile", class_or_null(status.profile)},
                         {"engine", text_or_null(status.engine)},
                         {"device_read_bytes", status.device_read},
                         {"device_written_bytes", status.device_written},
                         {"connections", status.peers},
                         {"damage", to_damage_json(status.damage)},
                         {"peers", nullptr},
                         {"fleet", image.fleet ? to_json(*image.fleet) : json(nullptr)}};
    if (image.peers) {
        auto& list = document["peers"] = json::array();
        for (auto const& peer : *image.peers) {
            list.push_back(to_json(peer));
        }
    }
    return document;
}

/// Reads the value of a key, unless it is missing or null.
template <class T>
void take(json const& from, char const* key, T& into) {
    if (auto const found = from.find(key); found != from.end() && !found->is_null()) {
        read_json(*found, into);
    }
}

std::string take_text(json const& from, char const* key) {
    std::string text;
    take(from, key, text);
    return text;
}

std::optional<storage_class> take_class(json const& from, char const* key) {
    return parse_storage_class(take_text(from, key));
}

std::optional<image_state> parse_state(std::string const& text) {
    for (int i = 0; i <= static_cast<int>(image_state::closed); ++i) {
        if (auto const state = static_cast<image_state>(i); text == to_string(state)) {
            return state;
        }
    }
    return std::nullopt;
}

peer_status to_peer(json const& from) {
    peer_status peer;
    take(from, "address", peer.address);
    take(from, "port", peer.port);
    take(from, "incoming", peer.incoming);
    take(from, "id", peer.id);
    take(from, "client", peer.client);
    take(from, "progress", peer.fraction);
    take(from, "seed", peer.seed);
    take(from, "download_rate", peer.download_rate);
    take(from, "upload_rate", peer.upload_rate);
    take(from, "downloaded_bytes", peer.downloaded);
    take(from, "uploaded_bytes", peer.uploaded);
    return peer;
}

/// Reads the value of a key, unless it is missing or null.
template <class T>
void take(json const& from, char const* key, std::optional<T>& into) {
    if (auto const found = from.find(key); found != from.end() && !found->is_null()) {
        into = json_value<T>(*found);
    }
}

result<fleet_host> to_host(json const& from) {
    fleet_host host;
    take(from, "name", host.name);
    take(from, "address", host.address);
    take(from, "port", host.port);
    auto const state = take_text(from, "state");
    auto const* const known =
        std::ranges::find_if(host_states, [&state](host_state each) { return state == to_string(each); });
    if (known == host_states.end()) {
        return tl::unexpected(
            error{"the state of " + host.name + " is '" + state + "', which this program does not know"});
    }
    host.state = *known;
    take(from, "expected", host.expected);
    take(from, "connected", host.connected);
    take(from, "failure", host.failure);
    take(from, "device", host.device);
    host.disk_class = take_class(from, "class");
    take(from, "progress", host.fraction);
    take(from, "rate", host.rate);
    take(from, "fetched_bytes", host.fetched);
    take(from, "seconds", host.seconds);
    host.completed = parse_utc(take_text(from, "completed_at"));
    host.seen = parse_utc(take_text(from, "last_seen")).value_or(system_clock::time_point{});
    take(from, "stopped_seconds", host.stopped_seconds);
    take(from, "away_seconds", host.away_seconds);
    return host;
}

result<fleet_status> to_fleet(json const& from) {
    fleet_status fleet;
    take(from, "expected", fleet.expected);
    take(from, "complete", fleet.complete);
    take(from, "deployed", fleet.deployed);
    fleet.started = parse_utc(take_text(from, "started"));
    take(from, "seconds", fleet.seconds);
    take(from, "missing", fleet.missing);
    take(from, "not_seen", fleet.not_seen);
    if (auto const list = from.find("hosts"); list != from.end()) {
        for (auto const& each : *list) {
            auto host = to_host(each);
            if (!host) {
                return tl::unexpected(host.error());
            }
            fleet.hosts.push_back(std::move(*host));
        }
    }
    return fleet;
}

result<status_snapshot::image> to_image(json const& from) {
    status_snapshot::image image;
    auto& status = image.status;
    take(from, "name", status.name);
    status.mode = take_text(from, "mode") == to_string(image_mode::deploy) ? image_mode::deploy : image_mode::seed;
    auto const state = parse_state(take_text(from, "state"));
    if (!state) {
        return tl::unexpected(error{"the state of " + status.name + " is '" + take_text(from, "state") +
                                    "', which this program does not know"});
    }
    status.state = *state;
    take(from, "failure", status.failure);
    status.info_hash = info_hash::from_hex(take_text(from, "info_hash"));
    take(from, "total_bytes", status.total_bytes);
    if (auto const unpacked = from.find("unpacked_bytes"); unpacked != from.end() && unpacked->is_number()) {
        take(from, "unpacked_bytes", status.unpacked_bytes.emplace());
    }
    take(from, "piece_bytes", status.piece_length);
    take(from, "pieces", status.piece_count);
    take(from, "progress", status.fraction);
    take(from, "left_bytes", status.bytes_left);
    take(from, "downloaded_bytes", status.downloaded);
    take(from, "uploaded_bytes", status.uploaded);
    take(from, "download_rate", status.download_rate);
    take(from, "upload_rate", status.upload_rate);
    take(from, "durable", status.durable);
    take(from, "verified", status.verified);
    take(from, "age_seconds", status.age_seconds);
    take(from, "state_seconds", status.phase_seconds);
    take(from, "device", status.device);
    status.detected = take_class(from, "class");
    status.profile = take_class(from, "profile");
    take(from, "engine", status.engine);
    take(from, "device_read_bytes", status.device_read);
    take(from, "device_written_bytes", status.device_written);
    take(from, "connections", status.peers);
    if (auto const list = from.find("damage"); list != from.end() && list->is_array()) {
        for (auto const& each : *list) {
            take(each, "pieces", status.damage[take_text(each, "peer")]);
        }
    }
    if (auto const list = from.find("peers"); list != from.end() && list->is_array()) {
        auto peers = std::make_shared<std::vector<peer_status>>();
        for (auto const& peer : *list) {
            peers->push_back(to_peer(peer));
        }
        image.peers = std::move(peers);
    }
    if (auto const found = from.find("fleet"); found != from.end() && found->is_object()) {
        auto fleet = to_fleet(*found);
        if (!fleet) {
            return tl::unexpected(fleet.error());
        }
        image.fleet = std::make_shared<fleet_status const>(std::move(*fleet));
    }
    return image;
}

result<status_snapshot> to_snapshot(json const& from) {
    int format = 0;
    take(from, "format", format);
    if (format != status_format) {
        return tl::unexpected(error{format == 0 ? "not the status of a Seedbed daemon"
                                                : "the daemon's status has format " + std::to_string(format) +
                                                      ", this program knows format " + std::to_string(status_format)});
    }
    status_snapshot snapshot;
    take(from, "version", snapshot.version);
    snapshot.taken = parse_utc(take_text(from, "time")).value_or(system_clock::time_point{});
    snapshot.started = parse_utc(take_text(from, "started")).value_or(system_clock::time_point{});
    take(from, "uptime_seconds", snapshot.uptime_seconds);
    take(from, "stopping", snapshot.stopping);
    take(from, "complaint", snapshot.hang);
    if (auto const cache = from.find("cache"); cache != from.end()) {
        take(*cache, "hits", snapshot.cache.hits);
        take(*cache, "misses", snapshot.cache.misses);
        take(*cache, "locks", snapshot.cache.locks);
        take(*cache, "contended_locks", snapshot.cache.contended);
        take(*cache, "clean_bytes", snapshot.cache.clean);
        take(*cache, "dirty_bytes", snapshot.cache.dirty);
        take(*cache, "filling_bytes", snapshot.cache.filling);
    }
    if (auto const pool = from.find("pool"); pool != from.end()) {
        take(*pool, "capacity_bytes", snapshot.pool.capacity);
        take(*pool, "used_bytes", snapshot.pool.used);
    }
    for (auto const& each : from.at("images")) {
        auto image = to_image(each);
        if (!image) {
            return tl::unexpected(image.error());
        }
        snapshot.images.push_back(std::move(*image));
    }
    return snapshot;
}

} // namespace

std::string status_snapshot::complaint() const {
    if (!hang.empty()) {
        return hang;
    }
    if (silence >= network_patience) {
        return "the network thread has not answered for " +
               std::to_string(std::chrono::duration_cast<std::chrono::seconds>(silence).count()) + " s";
    }
    return {};
}

bool has_failed_image(status_snapshot const& snapshot) {
    return std::ranges::any_of(snapshot.images,
                               [](auto const& image) { return image.status.state == image_state::failed; });
}

std::string to_status_document(status_snapshot const& snapshot) {
    auto const complaint = snapshot.complaint();
    json document = {{"format", status_format},
                     {"version", snapshot.version},
                     {"time", format_utc(snapshot.taken)},
                     {"started", format_utc(snapshot.started)},
                     {"uptime_seconds", snapshot.uptime_seconds},
                     {"stopping", snapshot.stopping},
                     {"complaint", text_or_null(complaint)},
                     {"cache",
                      {{"hits", snapshot.cache.hits},
                       {"misses", snapshot.cache.misses},
                       {"locks", snapshot.cache.locks},
                       {"contended_locks", snapshot.cache.contended},
                       {"clean_bytes", snapshot.cache.clean},
                       {"dirty_bytes", snapshot.cache.dirty},
                       {"filling_bytes", snapshot.cache.filling}}},
                     {"pool", {{"capacity_bytes", snapshot.pool.capacity}, {"used_bytes", snapshot.pool.used}}},
                     {"images", json::array()}};
    auto& images = document["images"];
    for (auto const& image : snapshot.images) {
        images.push_back(to_json(image));
    }
    return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

result<status_snapshot> parse_status_document(std::string_view text) {
    try {
        return to_snapshot(json::parse(text));
    } catch (json::exception const& e) {
        return tl::unexpected(error{std::string("not the status of a Seedbed daemon: ") + e.what()});
    }
}

} // namespace seedbed
