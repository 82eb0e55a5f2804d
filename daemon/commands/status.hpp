#pragma once

#include <string>
#include <vector>

namespace seedbed {

/// `seedbed status`. \param arguments those after the subcommand. \return the exit status.
[[nodiscard]] int status_command(std::vector<std::string> const& arguments);

} // namespace seedbed
