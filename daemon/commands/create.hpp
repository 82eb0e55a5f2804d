#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// `seedbed create`: see its --help. \param arguments what follows the subcommand. \return the exit status.
[[nodiscard]] int create_command(std::vector<std::string> const& arguments);

[[nodiscard]] command_help create_help();

} // namespace seedbed
