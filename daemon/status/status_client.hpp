#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "core/foundation/error.hpp"
#include "daemon/http/http_client.hpp"
#include "daemon/status/reload_outcome.hpp"

namespace seedbed {

/// Queries a daemon over its control socket.
///
/// Threads: confined to the one that runs the io_context. Receivers are not called after its destruction.
class status_client {
public:
    using receiver = std::function<void(result<std::string>)>;

    /// \param socket its path.
    status_client(boost::asio::io_context& context, std::string socket);

    /// Calls \p call with the body of the answer to \p target ("/status"), or with an error: one line that states the
    /// socket, the cause and the remedy. One request at a time.
    void get(std::string const& target, std::chrono::milliseconds timeout, receiver call);

private:
    std::string m_socket;
    http_client m_client;
};

/// The same, but blocks until the answer or the error is known.
[[nodiscard]] result<std::string> ask_daemon(std::string const& socket, std::string const& target,
                                             std::chrono::milliseconds timeout);

/// Has the daemon reload its configuration, and blocks until the new images are open. The error is one line.
/// \return nothing if no daemon listens on the socket.
[[nodiscard]] result<std::optional<reload_outcome>> ask_for_reload(std::string const& socket,
                                                                   std::chrono::milliseconds timeout);

} // namespace seedbed
