#pragma once

#include <string>
#include <vector>

namespace seedbed {

/// `seedbed verify`: see its --help. \param arguments what follows the subcommand. \return the exit status.
[[nodiscard]] int verify_command(std::vector<std::string> const& arguments);

} // namespace seedbed
