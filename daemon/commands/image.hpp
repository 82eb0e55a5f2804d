#pragma once

#include <string>
#include <vector>

#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// `seedbed image`: lists the images of the configuration, adds one or removes one. \return the exit status.
[[nodiscard]] int image_command(std::vector<std::string> const& arguments);

[[nodiscard]] command_help image_help();

} // namespace seedbed
