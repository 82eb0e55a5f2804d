#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// `seedbed history`. \param arguments the arguments after the subcommand. \return the exit status.
[[nodiscard]] int history_command(std::vector<std::string> const& arguments);

[[nodiscard]] command_help history_help();

} // namespace seedbed
