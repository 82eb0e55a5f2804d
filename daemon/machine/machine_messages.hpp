#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"
#include "daemon/http/query_string.hpp"
#include "daemon/machine/machine_orders.hpp"

namespace seedbed {

// The messages between agent and server, over the tracker's HTTP port like reports:
//
//     GET /machine/job?mac=...&mac=...&serial=...&disks=...
//     GET /machine/report?job=...&state=...&phase=...&percent=...&device=...&class=...
//         &reason=...&hash=...&verified=...&fetched=...&taken=...&receipt=..., and target_facts
//
// With a secret, each query is authenticated as a report is. The answer to the first is a JSON document, to the second
// one line.

inline constexpr char const* machine_job_path = "/machine/job";
inline constexpr char const* machine_report_path = "/machine/report";
/// The most MAC addresses of one machine.
inline constexpr std::size_t most_macs = 16;

[[nodiscard]] std::string to_query(machine_identity const& who);
/// The inverse, except the address. Fails without a MAC address and a serial number.
[[nodiscard]] result<machine_identity> read_machine_identity(query_string const& query);

[[nodiscard]] std::string to_query(job_report const& said);
[[nodiscard]] result<job_report> read_job_report(query_string const& query);

/// A job as the agent receives it.
struct offered_job {
    std::string id;
    machine_order order;
};
/// The answer as the agent receives it.
struct job_offer {
    std::string machine;            ///< empty: unknown to the server
    std::optional<offered_job> job; ///< nothing to do without one
    std::string reason;
    bool job_waits = false; ///< there is a job, but its image is unavailable
    std::chrono::seconds ask_again{60};
};
[[nodiscard]] std::string to_json_text(job_answer const& answer);
/// The inverse; checks everything that the agent uses. Texts are printable. The error is one line.
[[nodiscard]] result<job_offer> parse_job_offer(std::string_view text);

/// The machines as `seedbed machine list --json` prints them, format 1.
[[nodiscard]] std::string to_json_text(std::vector<machine_row> const& rows);

} // namespace seedbed
