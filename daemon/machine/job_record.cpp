#include "daemon/machine/job_record.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "core/foundation/state_file.hpp"
#include "daemon/machine/job_json.hpp"
#include "daemon/text/json_members.hpp"
#include "daemon/text/utc_time.hpp"

namespace seedbed {

namespace {

using nlohmann::json;
using nlohmann::ordered_json;

constexpr int record_format = 1;
constexpr std::int64_t largest_record_file = 64LL << 20;

ordered_json job_record(machine_job const& job) {
    ordered_json record{{"id", job.id},
                        {"state", to_string(job.state)},
                        {"card", job.card},
                        {"device", job.device},
                        {"class", job.disk_class ? ordered_json(to_string(*job.disk_class)) : ordered_json()},
                        {"reason", job.reason},
                        {"started", utc_or_null(job.started)},
                        {"ended", utc_or_null(job.ended)}};
    if (job.state != job_state::waiting) {
        add_order(record, job.order);
    }
    return record;
}

std::optional<machine_job> parse_job(json const& object) {
    if (!object.is_object()) {
        return std::nullopt;
    }
    machine_job job;
    job.id = job_text(object, "id");
    auto const state = parse_job_state(job_text(object, "state"));
    if (!state || job.id.size() != 2 * job_id_bytes) {
        return std::nullopt;
    }
    job.state = *state;
    if (job.state != job_state::waiting) {
        auto order = read_order(object);
        if (!order) {
            return std::nullopt;
        }
        job.order = *std::move(order);
    }
    job.card = job_text(object, "card");
    job.device = job_text(object, "device");
    job.disk_class = parse_storage_class(job_text(object, "class"));
    job.reason = job_text(object, "reason");
    job.started = parse_utc(job_text(object, "started"));
    job.ended = parse_utc(job_text(object, "ended"));
    return job;
}

std::optional<machine_jobs> parse_record(std::string const& text) {
    auto const record = json::parse(text, nullptr, false);
    machine_jobs jobs;
    auto const found = record.is_object() ? record.find("jobs") : record.end();
    if (!record.is_object() || found == record.end() || !found->is_object() || found->size() > most_machine_jobs) {
        return std::nullopt;
    }
    for (auto const& [name, object] : found->items()) {
        auto job = parse_job(object);
        if (!job) {
            return std::nullopt;
        }
        jobs.emplace(name, std::move(*job));
    }
    return jobs;
}

} // namespace

std::string format_job_record(machine_jobs const& jobs) {
    auto list = ordered_json::object();
    for (auto const& [name, job] : jobs) {
        list[name] = job_record(job);
    }
    return ordered_json{{"format", record_format}, {"jobs", std::move(list)}}.dump(1, '\t') + "\n";
}

result<machine_jobs> load_job_record(std::string const& file) {
    auto const text = load_state_file(file, largest_record_file);
    if (!text) {
        return tl::unexpected(error{"cannot read the record of jobs: " + text.error().message});
    }
    auto jobs = *text ? parse_record(**text) : machine_jobs{};
    return jobs ? result<machine_jobs>(std::move(*jobs))
                : tl::unexpected(error{"the record of jobs is damaged: " + file});
}

} // namespace seedbed
