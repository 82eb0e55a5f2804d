#include "daemon/commands/image_list.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/printable.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/status/status_client.hpp"
#include "daemon/status/status_document.hpp"
#include "daemon/terminal/text_table.hpp"
#include "daemon/text/json_members.hpp"

namespace seedbed {

namespace {

/// The "format" of the JSON document: incremented when a key changes its meaning or is removed.
constexpr int image_list_format = 1;
constexpr std::chrono::seconds state_time{10};

void add_torrent(listed_image& row, image_settings const& image, torrent_limits const& limits) {
    auto const torrent = load_any_torrent(image.torrent, limits);
    if (!torrent) {
        row.error = torrent.error().message;
        return;
    }
    row.kind = torrent->packed ? "packed" : "raw";
    row.source = torrent->traits.kind == image_kind::unknown ? "" : to_string(torrent->traits.kind);
    row.info_hash = torrent->info_hash.to_hex();
    row.bytes = torrent->extents.total_size();
    if (torrent->packed) {
        row.packed_bytes = std::exchange(row.bytes, torrent->packed->index.used().value());
    }
}

void add_states(std::vector<listed_image>& rows, std::string const& socket) {
    auto const document =
        socket.empty() ? result<std::string>(tl::unexpected(error{})) : ask_daemon(socket, "/status", state_time);
    auto const snapshot = document ? parse_status_document(*document) : tl::unexpected(document.error());
    if (!snapshot) {
        return; // no daemon is running
    }
    for (auto const& [status, peers, fleet] : snapshot->images) {
        auto const row = std::ranges::find(rows, status.name, &listed_image::name);
        if (row != rows.end()) {
            row->state = to_string(status.state);
            row->error = status.state == image_state::failed ? status.failure : row->error;
        }
    }
}

std::string or_dash(std::string const& text) {
    return text.empty() ? "-" : printable(text);
}

} // namespace

std::vector<listed_image> list_images(settings const& configured) {
    torrent_limits limits;
    limits.file_size = configured.memory.max_torrent;
    std::vector<listed_image> rows;
    for (auto const& image : configured.images) {
        auto& row = rows.emplace_back();
        row.name = image.name;
        row.mode = to_string(image.mode);
        row.torrent = image.torrent;
        row.device = image.device;
        row.origin = image.origin;
        add_torrent(row, image, limits);
    }
    add_states(rows, configured.control.socket);
    return rows;
}

std::vector<std::string> image_list_table(std::vector<listed_image> const& images, std::size_t columns) {
    text_table table({{"NAME"},
                      {"STATE", 1},
                      {"KIND", 4},
                      {"SIZE", 2, true},
                      {"PACKED", 5, true},
                      {"DEVICE", 3, false, 12},
                      {"CONFIGURED IN", 6, false, 12}});
    for (auto const& each : images) {
        auto const kind = each.source.empty() ? each.kind : each.kind + " " + each.source;
        table.add_row({each.name, or_dash(each.state), or_dash(kind),
                       each.kind.empty() ? "-" : format_byte_size(each.bytes),
                       each.packed_bytes == 0 ? "-" : format_byte_size(each.packed_bytes), printable(each.device),
                       printable(each.origin)});
    }
    auto lines = table.lines(columns);
    for (auto const& each : images) {
        if (!each.error.empty()) {
            lines.push_back(each.name + ": " + printable(each.error));
        }
    }
    return lines;
}

std::string image_list_json(std::vector<listed_image> const& images) {
    auto rows = nlohmann::ordered_json::array();
    for (auto const& each : images) {
        nlohmann::ordered_json row{{"name", each.name}, {"mode", each.mode}};
        row["state"] = text_or_null(each.state);
        row["kind"] = text_or_null(each.kind);
        row["source"] = text_or_null(each.source);
        row["bytes"] = value_or_null(!each.kind.empty(), each.bytes);
        row["packed_bytes"] = value_or_null(each.packed_bytes != 0, each.packed_bytes);
        row["info_hash"] = text_or_null(each.info_hash);
        row["torrent"] = each.torrent;
        row["device"] = each.device;
        row["configured_in"] = each.origin;
        row["error"] = text_or_null(each.error);
        rows.push_back(std::move(row));
    }
    return nlohmann::ordered_json{{"format", image_list_format}, {"images", std::move(rows)}}.dump(
        2, ' ', false, nlohmann::json::error_handler_t::replace);
}

} // namespace seedbed
