#include "daemon/machine/ended_records.hpp"

#include <chrono>

#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

auto const now = std::chrono::system_clock::from_time_t(1'769'860'800);

target_facts sample_facts() {
    return {"/dev/sda", storage_class::hdd, "WD Blue", "WX1", 500'000, 400'000, "a; b"};
}

} // namespace

TEST_CASE("ended records: of a job, with what its machine has reported") {
    machine_job job;
    job.id = "0123456789abcdef";
    job.state = job_state::done;
    job.order.image = "win11";
    job.card = "52:54:00:00:00:17";
    job.device = "/dev/sda";
    job.disk_class = storage_class::hdd;
    job.reason = "grew by 3 GiB";
    job.started = now - 200s;
    job.ended = now;
    job_report said;
    said.facts = sample_facts();
    said.info_hash = std::string(40, 'b');
    said.verified = true;
    said.fetched = 1234;
    said.receipt = "eJw";
    auto record = record_of("PC-17", job, said);
    CHECK(record.id == job.id);
    CHECK(record.is_job);
    CHECK(record.machine == "PC-17");
    CHECK(record.card == job.card);
    CHECK(record.image == "win11");
    CHECK(record.info_hash == said.info_hash);
    CHECK(record.end == deployment_end::done);
    CHECK(record.verified == true);
    CHECK(seconds_of(record) == 200);
    CHECK(record.ended == now);
    CHECK(record.device == "/dev/sda");
    CHECK(record.disk_class == "hdd");
    CHECK(record.model == "WD Blue");
    CHECK(record.serial == "WX1");
    CHECK(record.disk_bytes == 500'000);
    CHECK(record.image_bytes == 400'000);
    CHECK(record.fetched == 1234);
    CHECK(record.reason == "grew by 3 GiB");
    CHECK(record.warnings == "a; b");
    CHECK(record.packed_receipt == "eJw");
    job.taken = 150s; // the clock was set
    CHECK(seconds_of(record_of("PC-17", job, said)) == 150);

    job.state = job_state::refused;
    record = record_of("PC-17", job, {}); // of an agent of an earlier version
    CHECK(record.end == deployment_end::refused);
    CHECK_FALSE(record.verified);
    CHECK_FALSE(record.disk_bytes);
    CHECK(record.info_hash.empty());
    job.state = job_state::failed;
    CHECK(record_of("PC-17", job, {}).end == deployment_end::failed);
}

TEST_CASE("ended records: of a host's report, at the time of its outcome") {
    using outcome = host_report::outcome_kind;
    auto const hash = *info_hash::from_hex(std::string(40, 'b'));
    host_report report;
    report.host = {boost::asio::ip::make_address("192.0.2.17"), 6881};
    report.outcome = outcome::verified;
    report.reason = "no reason given";
    report.age = 10s;
    report.taken = 90s;
    report.bytes = 1234;
    report.id = "abc";
    report.authenticated = true;
    report.facts = sample_facts();
    report.receipt = "eJw";
    auto record = record_of(report, "win11", hash, now);
    CHECK(record.id == "abc");
    CHECK_FALSE(record.is_job);
    CHECK(record.authenticated);
    CHECK(record.address == "192.0.2.17");
    CHECK(record.image == "win11");
    CHECK(record.info_hash == hash.to_hex());
    CHECK(record.ended == now - 10s);
    CHECK(seconds_of(record) == 90);
    CHECK(record.end == deployment_end::done);
    CHECK(record.verified == true);
    CHECK(record.reason.empty());
    CHECK(record.fetched == 1234);
    CHECK(record.serial == "WX1");
    CHECK(record.packed_receipt == "eJw");

    report.outcome = outcome::durable;
    CHECK(record_of(report, "win11", hash, now).verified == false);
    report.outcome = outcome::refused;
    report.taken = 0s;
    record = record_of(report, "win11", hash, now);
    CHECK(record.end == deployment_end::refused);
    CHECK(record.reason == "no reason given");
    CHECK_FALSE(record.started);
    report.outcome = outcome::failed;
    CHECK(record_of(report, "win11", hash, now).end == deployment_end::failed);
}
