#pragma once

#include <string>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Asks \p question on the terminal. \return whether the answer was "yes", and nothing else; false as well after
/// SIGINT, SIGTERM or SIGHUP. The error is that there is no terminal: standard input and standard error must be one.
///
/// Threads: to be called while there is one only: it changes how signals are handled, and changes it back.
[[nodiscard]] result<bool> confirm(std::string const& question);

} // namespace seedbed
