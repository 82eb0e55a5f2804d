#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// `seedbed restore`: see its --help. \param arguments the arguments after the subcommand. \return the exit status.
[[nodiscard]] int restore_command(std::vector<std::string> const& arguments);

[[nodiscard]] command_help restore_help();

} // namespace seedbed
