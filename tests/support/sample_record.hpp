#pragma once

#include <string>
#include <utility>

#include "daemon/history/deployment_record.hpp"

namespace seedbed::test {

/// \p second after a fixed time.
inline deployment_record::wall_time record_time(int second) {
    return std::chrono::system_clock::from_time_t(1'769'860'800 + second); // 2026-01-31T12:00:00Z
}

/// As the database keeps it.
inline std::string sample_receipt() {
    return R"({"receipt":1,"outcome":"done","device":{"path":"/dev/nvme0n1","wwn":"naa.5"},"layout":{"table":"gpt",)"
           R"("partitions":[{"number":1,"start":1048576,"size":536870912}]},"bytes":{"written":4294967296,"sent":7},)"
           R"("seconds":{"opening":0.5,"checking":null,"downloading":150.25},"peers":[)"
           R"({"address":"192.0.2.1","port":6881,"client":"Seedbed","fetched":3000000000,"sent":0},)"
           R"({"address":"192.0.2.18","port":6881,"client":"Seedbed","fetched":1294967296,"sent":7},)"
           R"({"address":"192.0.2.19","port":6881,"client":"Seedbed","fetched":0,"sent":9}]})";
}

/// The end of a job, with every value.
inline deployment_record sample_record(std::string id, int second = 0) {
    deployment_record record;
    record.id = std::move(id);
    record.is_job = true;
    record.authenticated = true;
    record.ended = record_time(second);
    record.started = record_time(second - 200);
    record.taken = std::chrono::milliseconds(200'500);
    record.end = deployment_end::done;
    record.verified = true;
    record.machine = "PC-17";
    record.card = "52:54:00:00:00:17";
    record.address = "192.0.2.17";
    record.image = "win11";
    record.info_hash = std::string(38, 'b') + "17";
    record.device = "/dev/nvme0n1";
    record.model = "Samsung SSD 970";
    record.serial = "S466NX0K";
    record.disk_class = "nvme";
    record.disk_bytes = 500'107'862'016;
    record.image_bytes = 10LL << 30;
    record.fetched = 4LL << 30;
    record.reason = "";
    record.warnings = "2 file systems have the same UUID";
    record.receipt = sample_receipt();
    return record;
}

/// What a host without a secret reports.
inline deployment_record strangers_record(std::string id, int second = 0) {
    auto record = sample_record(std::move(id), second);
    record.is_job = false;
    record.authenticated = false;
    record.machine.clear();
    record.card.clear();
    return record;
}

} // namespace seedbed::test
