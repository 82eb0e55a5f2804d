#pragma once

#include <string>

namespace seedbed {

/// The path of a program, searched for in PATH and then in the folders of system programs, which a user's PATH may
/// lack; empty if it is not installed.
[[nodiscard]] std::string find_program(std::string const& name);

} // namespace seedbed
