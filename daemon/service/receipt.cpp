#include "daemon/service/receipt.hpp"

#include <cmath>

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/foundation/save_file.hpp"
#include "core/image/torrent_file.hpp"
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

std::string to_json(receipt const& what) {
    auto const& result = what.result;
    auto const& image = result.image;
    auto const done = result.code == exit_ok;
    json const document = {{"receipt", format_version},
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
    // Names of files and disks may contain any bytes; JSON is UTF-8.
    return document.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

result<void> save_receipt(std::string const& path, receipt const& what) {
    return save_file(path, to_json(what), true);
}

} // namespace seedbed
