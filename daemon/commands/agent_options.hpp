#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "core/foundation/error.hpp"
#include "daemon/agent/server_link.hpp"
#include "daemon/commands/command_help.hpp"
#include "daemon/commands/peer_options.hpp"

namespace seedbed {

/// The command line of `seedbed agent`.
struct agent_options : peer_options {
    http_authority server;
    bool once = false;
    std::string hooks; ///< absolute folder of programs to run after a deployment; empty: none
    std::chrono::milliseconds hook_limit{300'000};
    std::optional<after_deploy> after; ///< instead of the job's
    std::vector<std::string> macs;     ///< instead of this machine's
    std::string serial;                ///< likewise
    std::string power;                 ///< program to run with "reboot" or "poweroff"; empty: the system's own way
    std::chrono::milliseconds seed_until_idle{15'000};
    bool help = false; ///< nothing else is set in this case
};

/// Parses and checks the command line. The error is one line.
[[nodiscard]] result<agent_options> parse_agent_options(std::vector<std::string> const& arguments);

[[nodiscard]] command_help agent_help();

} // namespace seedbed
