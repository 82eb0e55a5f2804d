#include "daemon/machine/machine_messages.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "config/mac_address.hpp"
#include "core/foundation/printable.hpp"
#include "daemon/machine/job_json.hpp"
#include "daemon/text/json_members.hpp"

namespace seedbed {

namespace {

using nlohmann::ordered_json;

constexpr int machine_list_format = 1;
constexpr std::size_t longest_disks = 2000;
constexpr std::int64_t longest_ask_again = 3600;
constexpr std::int64_t longest_job_ms = 366LL * 24 * 3600 * 1000;

std::string taken(query_string const& query, std::string_view key, std::size_t longest = longest_job_text) {
    return printable(query.find(key).value_or("").substr(0, longest));
}

std::string parameter(char const* key, std::string_view value) {
    return value.empty() ? std::string() : std::string("&") + key + "=" + percent_encoded(value);
}

ordered_json row_json(machine_row const& row) {
    auto const job = row.job.value_or(machine_job{});
    auto const known = row.job.has_value();
    return {{"name", printable_or_null(row.name)},
            {"mac", printable_or_null(row.mac)},
            {"serial", printable_or_null(row.serial)},
            {"image", printable_or_null(row.image)},
            {"disk", printable_or_null(row.disk)},
            {"state", value_or_null(known, to_string(job.state))},
            {"job", printable_or_null(job.id)},
            {"phase", printable_or_null(job.phase)},
            {"percent", value_or_null(job.percent >= 0, job.percent)},
            {"device", printable_or_null(job.device)},
            {"class", job.disk_class ? ordered_json(to_string(*job.disk_class)) : ordered_json()},
            {"reason", printable_or_null(job.reason)},
            {"started_at", utc_or_null(job.started)},
            {"ended_at", utc_or_null(job.ended)},
            {"address", printable_or_null(row.address)},
            {"disks", printable_or_null(row.disks)},
            {"seen_at", utc_or_null(row.seen)}};
}

} // namespace

std::string to_query(machine_identity const& who) {
    std::string query;
    for (std::size_t i = 0; i < std::min(who.macs.size(), most_macs); ++i) {
        query += parameter("mac", who.macs[i]);
    }
    query += parameter("serial", who.serial) + parameter("disks", std::string_view(who.disks).substr(0, longest_disks));
    return query.substr(query.empty() ? 0 : 1);
}

result<machine_identity> read_machine_identity(query_string const& query) {
    machine_identity who;
    for (auto const text : query.find_all("mac")) {
        auto mac = parse_mac_address(text);
        if (!mac) {
            return tl::unexpected(error{printable(mac.error().message)});
        }
        if (who.macs.size() < most_macs) {
            who.macs.push_back(std::move(*mac));
        }
    }
    who.serial = taken(query, "serial");
    who.disks = taken(query, "disks", longest_disks);
    if (who.macs.empty() && who.serial.empty()) {
        return tl::unexpected(error{"neither a MAC address nor a serial number"});
    }
    return who;
}

std::string to_query(job_report const& said) {
    auto facts = said.facts;
    facts.device = said.device;
    facts.cls = said.disk_class;
    return "job=" + percent_encoded(said.id) + "&state=" + to_string(said.state) + parameter("phase", said.phase) +
           (said.percent >= 0 ? "&percent=" + std::to_string(said.percent) : std::string()) +
           parameter("reason", std::string_view(said.reason).substr(0, longest_job_text)) +
           parameter("hash", said.info_hash) +
           (said.verified ? std::string("&verified=") + (*said.verified ? "1" : "0") : std::string()) +
           (said.fetched ? "&fetched=" + std::to_string(*said.fetched) : std::string()) +
           (said.taken ? "&taken=" + std::to_string(said.taken->count()) : std::string()) +
           parameter("receipt", said.receipt) + to_query(facts);
}

result<job_report> read_job_report(query_string const& query) {
    job_report said;
    said.id = taken(query, "job");
    auto const state = parse_job_state(query.find("state").value_or(""));
    if (said.id.empty() || !state || *state == job_state::waiting) {
        return tl::unexpected(error{"expected a job and its state"});
    }
    said.state = *state;
    said.phase = taken(query, "phase");
    said.percent = static_cast<int>(std::min<std::int64_t>(query.number("percent").value_or(-1), 100));
    said.facts = read_target_facts(query);
    said.device = said.facts.device;
    said.disk_class = said.facts.cls;
    said.reason = taken(query, "reason");
    said.info_hash = taken(query, "hash");
    if (auto const verified = query.find("verified"); verified == "1" || verified == "0") {
        said.verified = verified == "1";
    }
    said.fetched = query.number("fetched");
    if (auto const taken = query.number("taken"); taken && *taken <= longest_job_ms) {
        said.taken = std::chrono::milliseconds(*taken);
    }
    said.receipt = query.find("receipt").value_or("");
    return said;
}

std::string to_json_text(job_answer const& answer) {
    ordered_json job;
    if (answer.job != nullptr) {
        job = {{"id", answer.job->id}};
        add_order(job, answer.job->order);
    }
    return ordered_json{{"machine", printable_or_null(answer.machine)},
                        {"job", std::move(job)},
                        {"reason", printable_or_null(answer.reason)},
                        {"job_waits", answer.job_waits},
                        {"ask_again", answer.ask_again.count()}}
               .dump() +
           "\n";
}

result<job_offer> parse_job_offer(std::string_view text) {
    auto const bad = [](char const* why) { return tl::unexpected(error{std::string("not a job: ") + why}); };
    auto const document = nlohmann::json::parse(text, nullptr, false);
    if (!document.is_object()) {
        return bad("not a JSON object");
    }
    job_offer offer;
    offer.machine = job_text(document, "machine");
    offer.reason = job_text(document, "reason");
    auto const waits = document.find("job_waits");
    offer.job_waits = waits != document.end() && *waits == true;
    if (auto const at = document.find("ask_again"); at != document.end() && at->is_number_integer()) {
        offer.ask_again = std::chrono::seconds(std::clamp<std::int64_t>(at->get<std::int64_t>(), 1, longest_ask_again));
    }
    auto const job = document.find("job");
    if (job == document.end() || job->is_null()) {
        return offer;
    }
    if (!job->is_object()) {
        return bad("\"job\" is not an object");
    }
    auto order = read_order(*job);
    auto id = job_text(*job, "id");
    if (id.empty() || !order) {
        return bad("its id, image, disk, grow, new_ids or after is missing or invalid");
    }
    offer.job = offered_job{std::move(id), *std::move(order)};
    return offer;
}

std::string to_json_text(std::vector<machine_row> const& rows) {
    auto machines = ordered_json::array();
    for (auto const& row : rows) {
        machines.push_back(row_json(row));
    }
    return ordered_json{{"format", machine_list_format}, {"machines", std::move(machines)}}.dump() + "\n";
}

} // namespace seedbed
