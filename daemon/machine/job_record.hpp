#pragma once

#include <map>
#include <string>

#include "core/foundation/error.hpp"
#include "daemon/machine/machine_job.hpp"

namespace seedbed {

/// The job of each machine, by the machine's name.
using machine_jobs = std::map<std::string, machine_job>;

// The record of jobs in the state folder, a JSON document. Threads: any; it has thousands of jobs, so workers make and
// parse it.

[[nodiscard]] std::string format_job_record(machine_jobs const& jobs);

/// Reads a record; without a file there are no jobs. The error says whether \p file cannot be read or is damaged: even
/// one job that is not understood, or more jobs than there can be, makes it damaged.
[[nodiscard]] result<machine_jobs> load_job_record(std::string const& file);

} // namespace seedbed
