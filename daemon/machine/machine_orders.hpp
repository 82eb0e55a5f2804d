#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"
#include "daemon/fleet/target_facts.hpp"
#include "daemon/machine/job_record.hpp"
#include "daemon/machine/machine_job.hpp"

namespace seedbed {

/// A machine as it describes itself.
struct machine_identity {
    std::vector<std::string> macs; ///< as parse_mac_address() returns them
    std::string serial;            ///< DMI; empty: none
    std::string disks;             ///< a list for people; printable
    std::string address;           ///< from which it asks
};

/// What the agent reports on its job.
struct job_report {
    std::string id;
    job_state state = job_state::running; ///< not waiting
    std::string phase = {};
    int percent = -1;
    std::string device = {};
    std::string reason = {};
    std::optional<storage_class> disk_class = {}; ///< of the device
    // With the end, for the history:
    target_facts facts = {};                             ///< its device and class are those above
    std::string info_hash = {};                          ///< 40 hex digits
    std::optional<bool> verified = {};                   ///< read back and hashed
    std::optional<std::int64_t> fetched = {};            ///< bytes received for the image
    std::optional<std::chrono::milliseconds> taken = {}; ///< since the agent began with the job
    std::string receipt = {};                            ///< packed, see receipt_text.hpp; empty: none
};

/// The answer to a machine that asks for its job.
struct job_answer {
    std::string machine = {};           ///< its name; empty if it is unknown
    machine_job const* job = nullptr;   ///< to be run, or continued; null: nothing to do
    std::string reason = {};            ///< why there is nothing to do
    bool job_waits = false;             ///< there is a job, but its image is unavailable
    std::chrono::seconds ask_again{30}; ///< if there is nothing to do
};

/// A configured machine, or one that has asked without being configured, for people.
struct machine_row {
    std::string name; ///< empty if it is unknown and has no job
    std::string mac = {};
    std::string serial = {};
    std::string image = {}; ///< the job's, or the configured one
    std::string disk = {};  ///< rule
    std::optional<machine_job> job = {};
    std::string address = {}; ///< when it last asked or reported; empty: not since the daemon started
    std::string disks = {};
    std::optional<machine_job::wall_time> seen = {};
};

/// The machines, and the job of each. A job is done once: a machine that asks again gets its running job, by the same
/// id, or nothing. A machine that is no longer configured keeps its job, so that it does not run again if the machine
/// is configured again.
///
/// Threads: confined to one. Pure but for random ids.
class machine_orders {
public:
    using wall_time = machine_job::wall_time;
    /// The most machines without a [[machine]] table that are remembered, and the most that get [boot]'s image.
    static constexpr std::size_t most_unknown = 1024;

    /// Uses these machines from now on. Running jobs keep what they started with.
    void configure(std::vector<machine_settings> machines, machine_order boot);

    /// \param why_unavailable why an image cannot be deployed at present, or nothing.
    [[nodiscard]] job_answer ask(machine_identity const& who,
                                 std::function<std::optional<std::string>(std::string const&)> const& why_unavailable,
                                 present_time now);
    /// Applies a report. The same end may be reported again. The error says why it does not apply.
    [[nodiscard]] result<void> report(job_report const& said, std::string const& address, present_time now);

    /// Orders a new round for a machine, or for "all" whose job has ended. \return the names. Fails if the machine does
    /// not exist, or its job is running.
    [[nodiscard]] result<std::vector<std::string>> redo(std::string const& name);

    /// The configured machines in their order, then the others.
    [[nodiscard]] std::vector<machine_row> rows() const;

    /// Increased by each change of a job's state: the record has changed.
    [[nodiscard]] std::uint64_t changes() const noexcept { return m_changes; }
    [[nodiscard]] machine_jobs const& jobs() const noexcept { return m_jobs; }
    /// Forgets all jobs, and has these instead; configured machines without one get a new job.
    void restore(machine_jobs jobs);

    /// The machine of a job; empty if no job has the id.
    [[nodiscard]] std::string machine_of(std::string const& id) const;
    [[nodiscard]] machine_job const* job_of(std::string const& name) const;

private:
    struct seen_machine {
        machine_identity who;
        wall_time at;
    };

    /// The configured machine that this is, or one made up for [boot]; nothing, with the reason in \p why, if it gets
    /// no job.
    [[nodiscard]] std::optional<machine_settings> find(machine_identity const& who, std::string& why) const;
    /// Remembers an unknown machine; forgets the one that has been silent longest if there are too many.
    void remember_unknown(machine_identity const& who, wall_time now);
    void enter(machine_job& job, job_state state, present_time now);
    machine_job& new_job(std::string const& name);
    [[nodiscard]] machine_row row_of(machine_settings const& machine) const;
    [[nodiscard]] machine_settings const* configured(std::string const& name) const;

    std::vector<machine_settings> m_machines;
    std::map<std::string, std::size_t> m_by_card; ///< MAC address or serial number -> index
    std::map<std::string, std::size_t> m_by_name;
    machine_order m_boot;
    machine_jobs m_jobs;
    std::unordered_map<std::string, std::string> m_by_id; ///< job -> machine; all of m_jobs
    std::map<std::string, seen_machine> m_seen;           ///< those with a job, by name
    std::map<std::string, seen_machine> m_unknown;        ///< the others, by card
    std::uint64_t m_changes = 0;
};

} // namespace seedbed
