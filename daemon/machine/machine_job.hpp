#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>

#include "config/settings.hpp"
#include "core/device/storage_class.hpp"
#include "daemon/machine/job_state.hpp"

namespace seedbed {

/// The present by two clocks: the system clock may be set while a job runs.
struct present_time {
    std::chrono::system_clock::time_point wall;
    std::chrono::steady_clock::time_point steady;
};

/// One order for one machine. Texts are printable.
struct machine_job {
    using wall_time = std::chrono::system_clock::time_point;

    std::string id; ///< 16 hex digits
    job_state state = job_state::waiting;
    // From the configuration when the job starts:
    machine_order order = {.disk = {}, .after = after_deploy::wait};
    std::string card = {}; ///< a MAC address of the machine that runs it, or its serial number

    // As the agent reports it:
    std::string phase = {};
    int percent = -1; ///< of the phase; -1: unknown
    std::string device = {};
    std::optional<storage_class> disk_class = {}; ///< of the device
    std::string reason = {};                      ///< of a refusal or a failure
    std::optional<wall_time> started = {};
    std::optional<wall_time> ended = {};
    std::optional<std::chrono::steady_clock::time_point> began = {}; ///< nothing if another process started the job
    std::optional<std::chrono::milliseconds> taken = {};             ///< from its start to its end, if that is known
    bool continued = false; ///< the machine has asked for the running job again: its agent was restarted
};

/// The most jobs that are remembered, of machines that are configured and of others.
inline constexpr std::size_t most_machine_jobs = 2 * most_machines;
/// The longest text of a job, in bytes.
inline constexpr std::size_t longest_job_text = 300;
inline constexpr std::size_t job_id_bytes = 8; ///< each is two hex digits

} // namespace seedbed
