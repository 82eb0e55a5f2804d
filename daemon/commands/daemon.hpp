#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// `seedbed daemon`: see its --help. \param arguments the arguments after the subcommand. \return the exit status.
[[nodiscard]] int daemon_command(std::vector<std::string> const& arguments);

[[nodiscard]] command_help daemon_help();

} // namespace seedbed
