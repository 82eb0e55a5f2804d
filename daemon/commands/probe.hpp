#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// `seedbed probe`: see its --help. \param arguments the arguments after the subcommand. \return the exit status.
[[nodiscard]] int probe_command(std::vector<std::string> const& arguments);

[[nodiscard]] command_help probe_help();

} // namespace seedbed
