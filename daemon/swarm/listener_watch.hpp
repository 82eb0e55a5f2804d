#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "config/ip_endpoint.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// Decides whether a session listens as configured, from libtorrent's reports on each of its sockets.
///
/// libtorrent tries all addresses before its network thread answers the first request. settle() is therefore called
/// with the first answer, and calls the handler once: with the failure of a configured address, or with an error if no
/// address could be opened. Later failures are logged as errors.
///
/// Threads: confined to the main thread.
class listener_watch {
public:
    /// Called by settle(); never called if it is set later.
    void set_handler(std::function<void(result<void>)> handler) { m_handler = std::move(handler); }

    void opened(ip_endpoint const& address);
    /// \param address as libtorrent tried it. \param cause the system's message. \param configured network.listen; an
    /// address that is not in it comes from a wildcard and may fail if others do not.
    void failed(ip_endpoint const& address, std::string const& cause, std::vector<ip_endpoint> const& configured);
    /// All addresses have been tried. Later calls have no effect.
    void settle();
    [[nodiscard]] bool settled() const noexcept { return m_settled; }

private:
    std::function<void(result<void>)> m_handler;
    int m_open = 0;
    std::string m_error; ///< of a configured address
    bool m_settled = false;
};

} // namespace seedbed
