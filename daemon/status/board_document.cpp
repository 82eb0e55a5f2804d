#include "daemon/status/board_document.hpp"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "daemon/text/json_members.hpp"
#include "daemon/text/json_number.hpp"
#include "daemon/text/utc_time.hpp"

namespace seedbed {

namespace {

using board_json = nlohmann::ordered_json;

constexpr int board_format = 1;

board_json row_document(board_row const& row) {
    return {{"name", row.name},
            {"mac", text_or_null(row.mac)},
            {"address", text_or_null(row.address)},
            {"image", text_or_null(row.image)},
            {"state", to_string(row.state)},
            {"phase", row.phase},
            {"percent", row.fraction ? board_json(std::floor(*row.fraction * 1000) / 10) : board_json()},
            {"rate", static_cast<std::int64_t>(row.rate)},
            {"downloading", row.is_downloading},
            {"left_seconds", value_or_null(row.left_seconds)},
            {"disk", text_or_null(row.disk)},
            {"class", row.disk_class ? board_json(to_string(*row.disk_class)) : board_json()},
            {"reason", text_or_null(row.reason)}};
}

board_json image_document(status_snapshot::image const& image) {
    auto const& status = image.status;
    auto const downloads = status.mode == image_mode::deploy;
    return {{"name", status.name},
            {"state", to_string(status.state)},
            {"bytes", value_or_null(status.total_bytes > 0, status.total_bytes)},
            {"percent", value_or_null(downloads, std::floor(status.fraction * 1000) / 10)},
            {"complete", image.fleet ? board_json(image.fleet->complete) : board_json()},
            {"expected", image.fleet && image.fleet->expected ? board_json(*image.fleet->expected) : board_json()},
            {"rate", downloads ? status.download_rate : status.upload_rate},
            {"failure", text_or_null(status.failure)}};
}

/// The rows to list, in their order. If they are too many, machines are preferred to hosts, which strangers can make.
std::vector<board_row const*> listed_rows(machine_board const& board, std::size_t most) {
    auto const machines = static_cast<std::size_t>(std::ranges::count_if(board.rows, &board_row::is_machine));
    auto room = most - std::min(most, machines);
    std::vector<board_row const*> rows;
    for (auto const& row : board.rows) {
        if (rows.size() < most && (row.is_machine || room > 0)) {
            rows.push_back(&row);
            room -= row.is_machine ? 0 : 1;
        }
    }
    return rows;
}

/// Reads the value of a key, unless it is missing or null.
template <class T>
void take_value(board_json const& from, char const* key, T& into) {
    if (auto const found = from.find(key); found != from.end() && !found->is_null()) {
        read_json(*found, into);
    }
}

std::string text_at(board_json const& from, char const* key) {
    std::string text;
    take_value(from, key, text);
    return text;
}

board_row parse_board_row(board_json const& from) {
    board_row row{text_at(from, "name"), text_at(from, "mac"), text_at(from, "address"), text_at(from, "image")};
    auto const state = text_at(from, "state");
    auto const* const known =
        std::ranges::find_if(board_states, [&state](board_state each) { return state == to_string(each); });
    row.state = known != board_states.end() ? *known : board_state::waiting;
    row.phase = known != board_states.end() ? text_at(from, "phase") : state;
    if (auto const percent = from.find("percent"); percent != from.end() && percent->is_number()) {
        row.fraction = std::clamp(percent->get<double>() / 100, 0.0, 1.0);
    }
    std::int64_t rate = 0;
    take_value(from, "rate", rate);
    row.rate = static_cast<double>(rate);
    if (auto const left = from.find("left_seconds"); left != from.end() && left->is_number()) {
        row.left_seconds = json_value<std::int64_t>(*left);
    }
    row.disk = text_at(from, "disk");
    row.disk_class = parse_storage_class(text_at(from, "class"));
    row.reason = text_at(from, "reason");
    take_value(from, "downloading", row.is_downloading);
    return row;
}

result<shown_board> parse_board(board_json const& from) {
    int format = 0;
    take_value(from, "format", format);
    if (format != board_format) {
        return tl::unexpected(error{"the daemon's list of machines has format " + std::to_string(format) +
                                    ", this program knows format " + std::to_string(board_format)});
    }
    shown_board shown;
    shown.version = text_at(from, "version");
    shown.taken = parse_utc(text_at(from, "time")).value_or(std::chrono::system_clock::time_point{});
    take_value(from, "stopping", shown.stopping);
    shown.complaint = text_at(from, "complaint");
    take_value(from, "unlisted", shown.unlisted);
    for (auto const& image : from.at("images")) {
        ++shown.images;
        if (text_at(image, "state") == to_string(image_state::failed)) {
            shown.failed_images.push_back({text_at(image, "name"), text_at(image, "failure")});
        }
    }
    auto const& totals = from.at("totals");
    take_value(totals, "machines", shown.machines);
    for (auto const state : board_states) {
        take_value(totals, to_string(state), shown.board.counts.at(static_cast<std::size_t>(state)));
    }
    std::int64_t rate = 0;
    take_value(from, "rate", rate);
    shown.board.rate = static_cast<double>(rate);
    if (auto const left = from.find("left_seconds"); left != from.end() && left->is_number()) {
        shown.board.left_seconds = json_value<std::int64_t>(*left);
    }
    auto const& machines = from.at("machines");
    shown.board.rows.reserve(machines.size());
    for (auto const& machine : machines) {
        shown.board.rows.push_back(parse_board_row(machine));
    }
    return shown;
}

} // namespace

std::string to_board_document(machine_board const& board, status_snapshot const& snapshot, std::size_t most_rows) {
    auto const complaint = snapshot.complaint();
    std::int64_t sent = 0;
    auto images = board_json::array();
    for (auto const& image : snapshot.images) {
        sent += image.status.upload_rate;
        images.push_back(image_document(image));
    }
    board_json totals = {{"machines", board.rows.size() + board.not_seen}};
    for (auto const state : board_states) {
        totals[to_string(state)] = board.count(state);
    }
    auto const listed = listed_rows(board, most_rows);
    auto rows = board_json::array();
    for (auto const* const row : listed) {
        rows.push_back(row_document(*row));
    }
    return board_json{{"format", board_format},
                      {"version", snapshot.version},
                      {"time", format_utc(snapshot.taken)},
                      {"stopping", snapshot.stopping},
                      {"complaint", text_or_null(complaint)},
                      {"images", std::move(images)},
                      {"totals", std::move(totals)},
                      {"rate", static_cast<std::int64_t>(board.rate)},
                      {"sent_rate", sent},
                      {"left_seconds", value_or_null(board.left_seconds)},
                      {"last_ended", text_or_null(board.last_ended)},
                      {"unlisted", board.rows.size() - listed.size()},
                      {"machines", std::move(rows)}}
        .dump(-1, ' ', false, board_json::error_handler_t::replace);
}

result<shown_board> parse_board_document(std::string_view text) {
    try {
        return parse_board(board_json::parse(text));
    } catch (board_json::exception const& failed) {
        return tl::unexpected(error{std::string("not the machines of a Seedbed daemon: ") + failed.what()});
    }
}

} // namespace seedbed
