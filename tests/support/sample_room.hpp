#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "daemon/status/machine_board.hpp"
#include "support/sample_status.hpp"

namespace seedbed::test {

inline machine_row configured(std::string name, std::string address, std::optional<machine_job> job = std::nullopt) {
    machine_row row;
    row.name = std::move(name);
    row.mac = "52:54:00:00:00:01";
    row.image = "win11";
    row.disk = "auto";
    row.address = std::move(address);
    row.job = std::move(job);
    return row;
}

inline machine_job a_job(job_state state, std::string phase = "", int percent = -1) {
    machine_job job;
    job.state = state;
    job.order.image = "win11";
    job.phase = std::move(phase);
    job.percent = percent;
    return job;
}

/// A daemon that seeds one image to these hosts.
inline status_snapshot with_hosts(std::vector<fleet_host> hosts) {
    status_snapshot snapshot;
    auto image = sample_image("win11", image_state::seeding, 1);
    fleet_status fleet;
    fleet.hosts = std::move(hosts);
    image.fleet = std::make_shared<fleet_status const>(std::move(fleet));
    snapshot.images.push_back(std::move(image));
    return snapshot;
}

} // namespace seedbed::test
