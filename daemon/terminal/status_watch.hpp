#pragma once

#include <string>

namespace seedbed {

/// Shows the daemon's status every second until SIGINT, SIGTERM, SIGHUP or SIGQUIT: on a terminal, as a screen of the
/// terminal's size; elsewhere, as one table after another, or with \p json as one document per line. On a terminal, if
/// the daemon does not answer, it waits for it to return. \return an exit status of "seedbed status".
[[nodiscard]] int watch_status(std::string const& socket, bool json);

} // namespace seedbed
