#pragma once

#include <string>
#include <vector>

namespace seedbed {

/// `seedbed deploy`: see its --help. \param arguments the arguments after the subcommand. \return the exit status.
[[nodiscard]] int deploy_command(std::vector<std::string> const& arguments);

} // namespace seedbed
