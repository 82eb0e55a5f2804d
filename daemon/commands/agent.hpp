#pragma once

#include <string>
#include <vector>

namespace seedbed {

/// Runs `seedbed agent`. \return the exit status.
[[nodiscard]] int agent_command(std::vector<std::string> const& arguments);

} // namespace seedbed
