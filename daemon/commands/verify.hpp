#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// `seedbed verify`: see its --help. \param arguments the arguments after the subcommand. \return the exit status.
[[nodiscard]] int verify_command(std::vector<std::string> const& arguments);

[[nodiscard]] command_help verify_help();

} // namespace seedbed
