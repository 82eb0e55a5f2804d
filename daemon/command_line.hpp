#pragma once

#include <string>
#include <vector>

namespace seedbed {

/// Runs the program: picks the subcommand named by the first argument and gives it the rest.
/// \param arguments without the program's name. \return the exit status, one of exit_code.
[[nodiscard]] int run_command_line(std::vector<std::string> const& arguments);

} // namespace seedbed
