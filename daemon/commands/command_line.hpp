#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// Runs the program: the first argument names the subcommand, which gets the remaining ones.
/// \param arguments without the program's name. \return the exit status, one of exit_code.
[[nodiscard]] int run_command_line(std::vector<std::string> const& arguments);

/// A subcommand, for the manual page.
struct subcommand {
    std::string summary; ///< "write one image to a device, then exit"
    command_help help;
};
/// All subcommands, in the order of --help.
[[nodiscard]] std::vector<subcommand> subcommands();

} // namespace seedbed
