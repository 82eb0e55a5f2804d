#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// Runs `seedbed machine`. \return the exit status.
[[nodiscard]] int machine_command(std::vector<std::string> const& arguments);
[[nodiscard]] command_help machine_help();

} // namespace seedbed
