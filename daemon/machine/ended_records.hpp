#pragma once

#include <string>

#include "core/foundation/info_hash.hpp"
#include "daemon/fleet/host_report.hpp"
#include "daemon/history/deployment_record.hpp"
#include "daemon/machine/machine_job.hpp"
#include "daemon/machine/machine_orders.hpp"

namespace seedbed {

// The records that the history keeps of deployments. Pure.

/// A job that has ended. \param said the report of its end.
[[nodiscard]] deployment_record record_of(std::string const& machine, machine_job const& job, job_report const& said);

/// A deployment that its host has reported. \param now the time of the report.
[[nodiscard]] deployment_record record_of(host_report const& report, std::string const& image, info_hash const& hash,
                                          deployment_record::wall_time now);

} // namespace seedbed
