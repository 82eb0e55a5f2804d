#include "daemon/history/history_document.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/foundation/printable.hpp"
#include "daemon/history/receipt_text.hpp"
#include "daemon/text/json_number.hpp"
#include "daemon/text/utc_time.hpp"

namespace seedbed {

namespace {

using nlohmann::ordered_json;

constexpr int history_format = 1;
constexpr double longest_milliseconds = 1e15;

/// A record's texts by their names in JSON and CSV.
struct record_text {
    char const* name;
    std::string deployment_record::*member;
};
constexpr std::array record_texts{
    record_text{"id", &deployment_record::id},         record_text{"machine", &deployment_record::machine},
    record_text{"card", &deployment_record::card},     record_text{"address", &deployment_record::address},
    record_text{"image", &deployment_record::image},   record_text{"info_hash", &deployment_record::info_hash},
    record_text{"device", &deployment_record::device}, record_text{"model", &deployment_record::model},
    record_text{"serial", &deployment_record::serial}, record_text{"class", &deployment_record::disk_class},
    record_text{"reason", &deployment_record::reason}, record_text{"warnings", &deployment_record::warnings}};
/// Its sizes in bytes.
struct record_size {
    char const* name;
    std::optional<std::int64_t> deployment_record::*member;
};
constexpr std::array record_sizes{record_size{"disk_bytes", &deployment_record::disk_bytes},
                                  record_size{"image_bytes", &deployment_record::image_bytes},
                                  record_size{"fetched_bytes", &deployment_record::fetched}};

ordered_json text_or_nothing(std::string const& text) {
    return text.empty() ? ordered_json() : ordered_json(text);
}

template <class T>
ordered_json value_or_nothing(std::optional<T> const& value) {
    return value ? ordered_json(*value) : ordered_json();
}

double milliseconds_exact(double seconds) {
    return std::round(seconds * 1000) / 1000;
}

ordered_json record_json(deployment_record const& record) {
    auto const seconds = seconds_of(record);
    ordered_json object{{"ended_at", format_utc(record.ended)},
                        {"started_at", record.started ? ordered_json(format_utc(*record.started)) : ordered_json()},
                        {"seconds", seconds ? ordered_json(milliseconds_exact(*seconds)) : ordered_json()},
                        {"state", to_string(record.end)},
                        {"verified", value_or_nothing(record.verified)}};
    for (auto const& [name, member] : record_texts) {
        object[name] = text_or_nothing(record.*member);
    }
    for (auto const& [name, member] : record_sizes) {
        object[name] = value_or_nothing(record.*member);
    }
    object["job"] = record.is_job;
    object["authenticated"] = record.authenticated;
    object["receipt"] = record.receipt.empty() ? ordered_json() : ordered_json::parse(record.receipt, nullptr, false);
    return object;
}

std::string string_of(ordered_json const& object, char const* key) {
    auto const at = object.find(key);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
}

bool is_true(ordered_json const& object, char const* key) {
    auto const at = object.find(key);
    return at != object.end() && *at == true;
}

std::optional<std::int64_t> size_of(ordered_json const& object, char const* key) {
    auto const at = object.find(key);
    return at != object.end() && at->is_number_integer() ? std::optional(json_value<std::int64_t>(*at)) : std::nullopt;
}

/// Nothing if its end is missing.
std::optional<deployment_record> parse_record(ordered_json const& object) {
    if (!object.is_object()) {
        return std::nullopt;
    }
    deployment_record record;
    auto const ended = parse_utc(string_of(object, "ended_at"));
    auto const end = parse_deployment_end(string_of(object, "state"));
    if (!ended || !end) {
        return std::nullopt;
    }
    record.ended = *ended;
    record.end = *end;
    record.started = parse_utc(string_of(object, "started_at"));
    if (auto const at = object.find("verified"); at != object.end() && at->is_boolean()) {
        record.verified = at->get<bool>();
    }
    for (auto const& [name, member] : record_texts) {
        record.*member = string_of(object, name);
    }
    for (auto const& [name, member] : record_sizes) {
        record.*member = size_of(object, name);
    }
    if (auto const at = object.find("seconds"); at != object.end() && at->is_number()) {
        auto const milliseconds = std::round(at->get<double>() * 1000);
        record.taken = std::chrono::milliseconds(
            milliseconds >= 0 && milliseconds < longest_milliseconds ? static_cast<std::int64_t>(milliseconds) : 0);
    }
    if (auto const at = object.find("receipt"); at != object.end() && at->is_object()) {
        record.receipt = at->dump(-1, ' ', true, ordered_json::error_handler_t::replace); // bounded() checks it
    }
    record.is_job = is_true(object, "job");
    record.authenticated = is_true(object, "authenticated");
    return bounded(std::move(record));
}

/// A cell of CSV.
std::string csv_cell(std::string text) {
    constexpr std::string_view formula_marks = "=+-@\t\r";
    if (!text.empty() && formula_marks.find(text.front()) != std::string_view::npos) {
        text.insert(text.begin(), '\'');
    }
    if (text.find_first_of(",\"\n\r") == std::string::npos) {
        return text;
    }
    std::string quoted = "\"";
    for (auto const c : text) {
        quoted += c == '"' ? "\"\"" : std::string(1, c);
    }
    return quoted + '"';
}

std::string csv_number(double number) {
    auto text = std::to_string(number); // with six decimals
    return text.substr(0, text.size() - 3);
}

} // namespace

std::string to_json_text(deployment_record const& record) {
    return record_json(record).dump(-1, ' ', false, ordered_json::error_handler_t::replace);
}

std::string json_head() {
    return "{\"format\":" + std::to_string(history_format) + ",\"next\":null,\"deployments\":[\n";
}

std::string to_history_document(std::vector<numbered_record> const& records, std::size_t most) {
    auto const next = records.size() < most || records.empty() ? ordered_json() : ordered_json(records.back().number);
    auto text = "{\"format\":" + std::to_string(history_format) + ",\"next\":" + next.dump() + ",\"deployments\":[";
    // One record at a time: the values of all would need ten times the memory of the text.
    for (auto const& each : records) {
        text += (text.back() == '[' ? "" : ",");
        text += to_json_text(each.record);
    }
    return text + "]}\n";
}

result<history_part> parse_history_document(std::string_view text) {
    auto const bad = [](char const* why) {
        return tl::unexpected(error{std::string("not the history of a Seedbed daemon: ") + why});
    };
    auto const document = ordered_json::parse(text, nullptr, false);
    if (!document.is_object() || size_of(document, "format") != history_format) {
        return bad("its format is not 1");
    }
    auto const list = document.find("deployments");
    if (list == document.end() || !list->is_array()) {
        return bad("it has no deployments");
    }
    history_part part;
    for (auto const& object : *list) {
        auto record = parse_record(object);
        if (!record) {
            return bad("a deployment has no end");
        }
        part.records.push_back(std::move(*record));
    }
    part.next = size_of(document, "next");
    return part;
}

std::string to_query(history_filter const& filter) {
    std::string query = "most=" + std::to_string(filter.most);
    query += filter.image.empty() ? "" : "&image=" + percent_encoded(filter.image);
    query += filter.machine.empty() ? "" : "&machine=" + percent_encoded(filter.machine);
    query += filter.since ? "&since=" + percent_encoded(format_utc(*filter.since)) : "";
    query += filter.unsuccessful ? "&failed=1" : "";
    query += filter.receipts ? "&receipts=1" : "";
    query += filter.before ? "&before=" + std::to_string(*filter.before) : "";
    return query;
}

result<history_filter> read_history_filter(query_string const& query) {
    history_filter filter;
    filter.image = std::string(query.find("image").value_or("").substr(0, longest_record_text));
    filter.machine = std::string(query.find("machine").value_or("").substr(0, longest_record_text));
    if (auto const since = query.find("since")) {
        filter.since = parse_utc(std::string(*since));
        if (!filter.since) {
            return tl::unexpected(error{"since: expected a time such as 2026-01-31T12:00:00Z"});
        }
    }
    filter.unsuccessful = query.find("failed") == "1";
    filter.before = query.number("before");
    filter.receipts = query.find("receipts") == "1";
    auto const most = query.number("most").value_or(static_cast<std::int64_t>(filter.most));
    filter.most =
        static_cast<std::size_t>(std::clamp<std::int64_t>(most, 1, static_cast<std::int64_t>(most_listed_of(filter))));
    return filter;
}

std::string csv_titles() {
    std::string line = "ended_at,started_at,seconds,state,verified";
    for (auto const& text : record_texts) {
        line += std::string(",") + text.name;
    }
    for (auto const& size : record_sizes) {
        line += std::string(",") + size.name;
    }
    line += ",job,authenticated";
    for (auto const& column : receipt_columns) {
        line += std::string(",") + column.name;
    }
    return line + ",sources\n";
}

std::string csv_line(deployment_record const& record) {
    auto const seconds = seconds_of(record);
    auto line = format_utc(record.ended) + "," + (record.started ? format_utc(*record.started) : "") + "," +
                (seconds ? csv_number(*seconds) : "") + "," + to_string(record.end) + "," +
                (record.verified ? (*record.verified ? "yes" : "no") : "");
    for (auto const& text : record_texts) {
        line += "," + csv_cell(record.*text.member);
    }
    for (auto const& size : record_sizes) {
        auto const& bytes = record.*size.member;
        line += "," + (bytes ? std::to_string(*bytes) : std::string());
    }
    line += std::string(record.is_job ? ",yes" : ",no") + (record.authenticated ? ",yes" : ",no");
    for (auto const& text : columns_of_receipt(record.receipt)) {
        line += "," + csv_cell(text);
    }
    return line + "\n";
}

std::vector<deployment_record> parse_job_file(std::string_view text, std::size_t& skipped) {
    std::vector<deployment_record> records;
    skipped = 0;
    while (!text.empty()) {
        auto const end = std::min(text.find('\n'), text.size());
        auto const object = ordered_json::parse(text.substr(0, end), nullptr, false);
        auto record = parse_record(object);
        if (record && !string_of(object, "job").empty()) {
            record->id = printable(string_of(object, "job").substr(0, longest_record_text));
            record->is_job = true;
            records.push_back(std::move(*record));
        } else {
            ++skipped;
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return records;
}

} // namespace seedbed
