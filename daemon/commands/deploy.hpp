#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// `seedbed deploy`: see its --help. \param arguments what follows the subcommand. \return the exit status.
[[nodiscard]] int deploy_command(std::vector<std::string> const& arguments);

[[nodiscard]] command_help deploy_help();

} // namespace seedbed
