#pragma once

#include <string>
#include <vector>

namespace seedbed {

/// `seedbed restore`: see its --help. \param arguments the arguments after the subcommand. \return the exit status.
[[nodiscard]] int restore_command(std::vector<std::string> const& arguments);

} // namespace seedbed
