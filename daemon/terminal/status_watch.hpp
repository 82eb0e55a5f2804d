#pragma once

#include <string>

namespace seedbed {

/// Shows the daemon's status every second until SIGINT, SIGTERM, SIGHUP or SIGQUIT: on a terminal as a screen of the
/// terminal's size; elsewhere as one table after another, or with \p json as one document a line. On a terminal it
/// waits for a daemon that does not answer to come back. \return an exit status of "seedbed status".
[[nodiscard]] int watch_status(std::string const& socket, bool json);

} // namespace seedbed
