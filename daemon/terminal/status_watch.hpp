#pragma once

#include <cstdint>
#include <string>

namespace seedbed {

/// What each row of the status shows.
enum class status_view : std::uint8_t { images, machines };

/// Shows the daemon's status every second until SIGINT, SIGTERM, SIGHUP or SIGQUIT: on a terminal, as a screen of the
/// terminal's size, with keys that switch the view, sort, filter, scroll and quit; elsewhere, as one table after
/// another, or with \p json as one document per line. On a terminal, it waits for a daemon that does not answer.
/// \return an exit status of "seedbed status".
[[nodiscard]] int watch_status(std::string const& socket, status_view first, bool json);

} // namespace seedbed
