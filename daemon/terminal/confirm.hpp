#pragma once

#include <string>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Asks \p question on the terminal. \return whether the answer was exactly "yes"; false also after SIGINT, SIGTERM or
/// SIGHUP. Fails if standard input or standard error is not a terminal.
///
/// Threads: call it while the process has only one thread: it changes the handling of signals and restores it.
[[nodiscard]] result<bool> confirm(std::string const& question);

} // namespace seedbed
