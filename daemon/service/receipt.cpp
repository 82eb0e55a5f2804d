#include "daemon/service/receipt.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/foundation/save_file.hpp"
#include "core/image/torrent_file.hpp"
#include "daemon/history/receipt_text.hpp"
#include "daemon/text/json_members.hpp"
#include "daemon/text/utc_time.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace {

using json = nlohmann::ordered_json;

/// The "receipt" of the JSON document: incremented when a key changes its meaning or is removed.
constexpr int format_version = 1;

/// Rounds to the millisecond.
double rounded(double seconds) {
    return std::round(seconds * 1000) / 1000;
}

std::string host_name() {
    std::string name(256, '\0');
    if (::gethostname(name.data(), name.size() - 1) != 0) {
        return {};
    }
    name.resize(name.find('\0'));
    return name;
}

json device_json(receipt const& what) {
    auto const& image = what.result.image;
    auto const known = what.overview.value_or(device_overview{});
    return {{"path", what.device},
            {"kernel_name", text_or_null(known.kernel_name)},
            {"by_id", text_or_null(known.by_id)},
            {"model", text_or_null(known.model)},
            {"serial", text_or_null(known.serial)},
            {"wwn", text_or_null(known.wwn)},
            {"partition_uuid", text_or_null(known.content.partition_uuid)},
            {"size", value_or_null(what.overview.has_value(), known.size)},
            {"class", image.detected ? json(to_string(*image.detected)) : json()},
            {"profile", image.profile ? json(to_string(*image.profile)) : json()},
            {"engine", text_or_null(image.engine)}};
}

json bytes_json(deployment_report const& result) {
    auto const& image = result.image;
    return {{"image", value_or_null(image.total_bytes > 0, image.total_bytes)},
            {"unpacked", value_or_null(image.unpacked_bytes)},
            {"fetched", image.fetched},
            {"written", image.device_written},
            {"reused", value_or_null(result.to_fetch.has_value(), image.total_bytes - result.to_fetch.value_or(0))},
            {"sent", image.uploaded}};
}

json content_json(written_content const& content) {
    if (!content.found) {
        return {};
    }
    return {{"type", text_or_null(content.found->type)},
            {"label", text_or_null(content.found->label)},
            {"uuid", text_or_null(content.found->uuid)},
            {"partition_table", text_or_null(content.found->partition_table)}};
}

json layout_json(std::optional<disk_layout> const& layout) {
    if (!layout) {
        return {};
    }
    auto list = json::array();
    for (auto const& partition : layout->partitions) {
        list.push_back({{"number", partition.number},
                        {"start", partition.start},
                        {"size", partition.size},
                        {"type", partition.type},
                        {"uuid", text_or_null(partition.uuid)},
                        {"file_system", text_or_null(partition.content.type)},
                        {"file_system_uuid", text_or_null(partition.content.uuid)}});
    }
    return {{"table", layout->table == table_type::gpt ? "gpt" : "dos"}, {"id", layout->id}, {"partitions", list}};
}

json seconds_json(receipt const& what) {
    json list;
    for (auto const state : {image_state::opening, image_state::checking, image_state::downloading,
                             image_state::flushing, image_state::verifying, image_state::seeding}) {
        auto const found = what.result.seconds.find(state);
        list[to_string(state)] = found != what.result.seconds.end() ? json(rounded(found->second)) : json();
    }
    list["total"] = rounded(std::chrono::duration<double>(what.taken).count());
    return list;
}

json damage_json(deployment_report const& result) {
    auto list = json::array();
    for (auto const& [peer, pieces] : result.image.damage) {
        list.push_back({{"peer", peer}, {"pieces", pieces}});
    }
    return list;
}

json peers_json(deployment_report const& result) {
    auto list = json::array();
    for (auto const& [id, peer] : result.peers) {
        list.push_back({{"address", peer.address},
                        {"port", peer.port},
                        {"client", peer.client},
                        {"fetched", peer.downloaded},
                        {"sent", peer.uploaded}});
    }
    return list;
}

json document_of(receipt const& what) {
    auto const& result = what.result;
    auto const& image = result.image;
    auto const done = result.code == exit_ok;
    return {{"receipt", format_version},
            {"program", "seedbed " + program_version()},
            {"host", text_or_null(host_name())},
            {"started", format_utc(what.started)},
            {"ended", format_utc(what.ended)},
            {"outcome", outcome_name(result.code)},
            {"exit_status", static_cast<int>(result.code)},
            {"durable", done && image.durable},
            {"verified", done && image.durable && image.verified},
            {"guard", image.guard ? json(to_string(*image.guard)) : json()},
            {"image",
             {{"name", text_or_null(what.image_name)},
              {"torrent", what.torrent},
              {"kind", image.total_bytes == 0 ? json() : json(image.unpacked_bytes ? "packed" : "raw")},
              {"info_hash", image.info_hash ? json(image.info_hash->to_hex()) : json()},
              {"piece_length", value_or_null(image.piece_length > 0, image.piece_length)},
              {"pieces", value_or_null(image.piece_count > 0, image.piece_count)}}},
            {"device", device_json(what)},
            {"content", content_json(image.content)},
            {"layout", layout_json(what.layout)},
            {"bytes", bytes_json(result)},
            {"seconds", seconds_json(what)},
            {"peers", peers_json(result)},
            {"warnings", image.content.warnings},
            {"damage", damage_json(result)},
            {"errors", what.errors}};
}

/// Shortens a list. \return the number of elements that were left out.
std::size_t shorten(json& list, std::size_t most) {
    if (!list.is_array() || list.size() <= most) {
        return 0;
    }
    auto const excess = list.size() - most;
    list.erase(list.begin() + static_cast<json::difference_type>(most), list.end());
    return excess;
}

/// Names of files and disks may contain any bytes; JSON is UTF-8.
std::string text_of(json const& document, int indent) {
    return document.dump(indent, ' ', false, json::error_handler_t::replace);
}

} // namespace

char const* outcome_name(exit_code code) noexcept {
    switch (code) {
    case exit_ok:
        return "done";
    case exit_failed:
        return "failed";
    case exit_usage:
        return "bad_usage";
    case exit_refused:
        return "refused";
    case exit_bad_torrent:
        return "bad_torrent";
    case exit_timed_out:
        return "timed_out";
    case exit_device_failed:
        return "device_failed";
    case exit_not_verified:
        return "not_verified";
    case exit_interrupted:
        return "interrupted";
    case exit_not_confirmed:
        return "not_confirmed";
    case exit_damaged_source:
        return "damaged_source";
    }
    return "failed";
}

void take_torrent(receipt& made, image_torrent const& torrent) {
    made.image_name = torrent.name;
    auto& known = made.result.image;
    known.mode = image_mode::deploy;
    known.info_hash = torrent.info_hash;
    known.total_bytes = torrent.extents.total_size();
    if (torrent.packed) {
        known.unpacked_bytes = torrent.packed->index.used().value();
    }
    known.piece_length = torrent.piece_length;
    known.piece_count = torrent.piece_count;
}

void take_outcome(receipt& made, deployment_report report, disk_layout const* layout) {
    auto const known = std::exchange(made.result, std::move(report)).image;
    if (layout != nullptr && made.result.code == exit_ok) {
        made.layout = *layout;
    }
    if (auto& image = made.result.image; image.total_bytes == 0) { // the image could not be opened
        image.info_hash = known.info_hash;
        image.total_bytes = known.total_bytes;
        image.unpacked_bytes = known.unpacked_bytes;
        image.piece_length = known.piece_length;
        image.piece_count = known.piece_count;
    }
}

std::string to_json(receipt const& what) {
    return text_of(document_of(what), 2) + "\n";
}

std::string short_receipt(receipt const& what) {
    auto document = document_of(what);
    auto& peers = document["peers"];
    std::stable_sort(peers.begin(), peers.end(),
                     [](json const& a, json const& b) { return a["fetched"] > b["fetched"]; });
    std::size_t left_out = 0;
    for (std::size_t most = 256;; most /= 2) {
        for (auto const* const name : {"peers", "warnings", "damage", "errors"}) {
            left_out += shorten(document[name], most);
        }
        if (document["layout"].is_object()) {
            left_out += shorten(document["layout"]["partitions"], most);
        }
        document["left_out"] = left_out;
        auto packed = packed_receipt(text_of(document, -1));
        if (most == 0 || !packed.empty()) {
            return packed;
        }
    }
}

receipt receipt_of(image_settings const& image, ended_deployment const& ended, peer_record const& peers,
                   receipt::clock::time_point now) {
    receipt made;
    made.taken = std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<double>(ended.image.age_seconds));
    made.ended = now;
    made.started = now - std::chrono::duration_cast<receipt::clock::duration>(made.taken);
    made.torrent = image.torrent;
    made.device = image.device;
    made.image_name = image.name;
    made.result.code = ended.image.failed_at == failure_kind::none ? exit_ok : exit_code_of(ended.image.failed_at);
    made.result.image = ended.image;
    made.result.seconds = ended.seconds;
    made.result.peers = peers.peers();
    if (ended.layout != nullptr) {
        made.layout = *ended.layout;
    }
    if (!ended.image.failure.empty()) {
        made.errors = {ended.image.failure};
    }
    return made;
}

result<void> save_receipt(std::string const& path, receipt const& what) {
    return save_file(path, to_json(what), true);
}

} // namespace seedbed
