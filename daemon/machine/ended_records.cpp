#include "daemon/machine/ended_records.hpp"

namespace seedbed {

namespace {

void take_facts(deployment_record& record, target_facts const& facts) {
    record.device = facts.device;
    record.model = facts.model;
    record.serial = facts.serial;
    record.disk_class = facts.cls ? to_string(*facts.cls) : "";
    record.warnings = facts.warnings;
    if (facts.disk_bytes > 0) {
        record.disk_bytes = facts.disk_bytes;
    }
    if (facts.image_bytes > 0) {
        record.image_bytes = facts.image_bytes;
    }
}

} // namespace

deployment_record record_of(std::string const& machine, machine_job const& job, job_report const& said) {
    deployment_record record;
    take_facts(record, said.facts);
    record.id = job.id;
    record.is_job = true;
    record.ended = job.ended.value_or(deployment_record::wall_time{});
    record.started = job.started;
    record.taken = job.taken;
    record.end = job.state == job_state::done      ? deployment_end::done
                 : job.state == job_state::refused ? deployment_end::refused
                                                   : deployment_end::failed;
    record.verified = said.verified;
    record.machine = machine;
    record.card = job.card;
    record.image = job.order.image;
    record.info_hash = said.info_hash;
    record.device = job.device;
    record.disk_class = job.disk_class ? to_string(*job.disk_class) : "";
    record.fetched = said.fetched;
    record.reason = job.reason;
    record.packed_receipt = said.receipt;
    return record;
}

deployment_record record_of(host_report const& report, std::string const& image, info_hash const& hash,
                            deployment_record::wall_time now) {
    using outcome = host_report::outcome_kind;
    auto const is_done = report.outcome == outcome::verified || report.outcome == outcome::durable;
    deployment_record record;
    take_facts(record, report.facts);
    record.id = report.id;
    record.authenticated = report.authenticated;
    record.ended = now - report.age;
    if (report.taken.count() > 0) {
        record.started = record.ended - report.taken;
        record.taken = report.taken;
    }
    record.end = is_done                              ? deployment_end::done
                 : report.outcome == outcome::refused ? deployment_end::refused
                                                      : deployment_end::failed;
    record.verified = report.outcome == outcome::verified;
    record.address = report.host.address().to_string();
    record.image = image;
    record.info_hash = hash.to_hex();
    record.fetched = report.bytes;
    record.reason = is_done ? "" : report.reason;
    record.packed_receipt = report.receipt;
    return record;
}

} // namespace seedbed
