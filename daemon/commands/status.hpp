#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// `seedbed status`. \param arguments the arguments after the subcommand. \return the exit status.
[[nodiscard]] int status_command(std::vector<std::string> const& arguments);

[[nodiscard]] command_help status_help();

} // namespace seedbed
