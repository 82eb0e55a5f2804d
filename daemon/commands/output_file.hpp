#pragma once

#include <string>
#include <vector>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Whether a command can save its result in \p output, see check_can_save(); refuses a file that the command itself
/// reads or writes, which saving would replace.
/// \param used the command's other files and devices; empty ones and those that do not exist are ignored.
[[nodiscard]] result<void> check_output(std::string const& output, bool replace, std::vector<std::string> const& used);

} // namespace seedbed
