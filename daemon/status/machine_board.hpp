#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/device/storage_class.hpp"
#include "daemon/machine/machine_orders.hpp"
#include "daemon/status/status_snapshot.hpp"

namespace seedbed {

/// The state of a machine, the worst first.
enum class board_state : std::uint8_t {
    failed,
    refused, ///< before the first write
    stopped, ///< stopped before it was complete, or no longer heard of
    running,
    waiting, ///< for the machine to ask for its job, or to be seen
    no_job,  ///< it has asked, and gets nothing
    done
};
inline constexpr std::array board_states{board_state::failed,  board_state::refused, board_state::stopped,
                                         board_state::running, board_state::waiting, board_state::no_job,
                                         board_state::done};
/// For example "no job".
[[nodiscard]] char const* to_string(board_state state) noexcept;

/// A machine: its job and what its host in the fleet shows, merged.
struct board_row {
    std::string name; ///< of the machine; otherwise its address or MAC address
    std::string mac = {};
    std::string address = {};
    std::string image = {};
    board_state state = board_state::waiting;
    std::string phase = {};                        ///< for people, for example "downloading"
    std::optional<double> fraction = {};           ///< of the phase, 0 to 1
    double rate = 0;                               ///< bytes per second
    std::optional<std::int64_t> left_seconds = {}; ///< of the download
    std::string disk = {};                         ///< device, or the rule that chooses it
    std::optional<storage_class> disk_class = {};  ///< of the device; nothing until the machine has reported it
    std::string reason = {};                       ///< of a failure or a refusal, or a warning: one line
    bool is_machine = false;                       ///< has a name and a job; strangers cannot make such rows
    bool is_downloading = false;                   ///< running, and has a rate
};

/// A machine whose job is running reports every two seconds, except while a program of --after-deploy runs; after this
/// time without a report it is shown as stopped.
inline constexpr std::chrono::seconds silent_machine{60};
/// A machine that has taken part for this long and receives nothing is shown as "stalled".
inline constexpr std::chrono::seconds stalled_machine{30};

/// All machines, the worst first, and their totals: by state; running machines that download before the others, the
/// slowest first. Rates count in powers of two, so that rows do not change places all the time.
struct machine_board {
    std::vector<board_row> rows;
    std::array<std::size_t, board_states.size()> counts{}; ///< indexed by board_state
    std::size_t not_seen = 0;                              ///< expected by number, without a row; counted as waiting
    double rate = 0;                                       ///< bytes per second of all rows
    std::optional<std::int64_t> left_seconds;              ///< of the slowest running machine; nothing if none is known
    std::string last_ended = {};                           ///< changes when a deployment ends

    [[nodiscard]] std::size_t count(board_state state) const { return counts.at(static_cast<std::size_t>(state)); }
};

/// Merges the jobs and the fleets so that one machine is one row: a host belongs to the machine that asked from the
/// host's address. If a host takes part in several fleets, it is shown in the one in which it is under way, otherwise
/// in the one in which it was seen last.
/// Pure. Threads: any.
[[nodiscard]] machine_board make_board(std::vector<machine_row> const& machines, status_snapshot const& snapshot);

} // namespace seedbed
