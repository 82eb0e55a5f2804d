#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// Runs the program: picks the subcommand named by the first argument and gives it the rest.
/// \param arguments without the program's name. \return the exit status, one of exit_code.
[[nodiscard]] int run_command_line(std::vector<std::string> const& arguments);

/// A subcommand, for the manual page.
struct subcommand {
    std::string summary; ///< "write one image to a device and end"
    command_help help;
};
/// All of them, in the order in which --help names them.
[[nodiscard]] std::vector<subcommand> subcommands();

} // namespace seedbed
