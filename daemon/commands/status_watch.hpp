#pragma once

#include <string>

namespace seedbed {

/// Shows what the daemon does, anew each second, until SIGINT, SIGTERM, SIGHUP or SIGQUIT: on a terminal over its whole
/// screen, in the size that it has; elsewhere as one table after the other, or with \p json as one document a line. On
/// a terminal a daemon that goes away is waited for. \return an exit status of "seedbed status".
[[nodiscard]] int watch_status(std::string const& socket, bool json);

} // namespace seedbed
