#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "core/foundation/error.hpp"
#include "daemon/http/http_message.hpp"

namespace seedbed {

/// A small HTTP/1.1 server for TCP and Unix stream sockets, with keep-alive. A client's error is answered (400, 405,
/// 413, 431; 503 if no connection can be closed for it) or ends its connection, and has no other effect.
///
/// Threads: confined to the one that runs the io_context; the handler is called there and must not block.
class http_server {
public:
    /// Returns the response to a request. An exception is answered with 500 and logged.
    using request_handler = std::function<http_response(http_request const&)>;

    using respond = http_respond;
    using later_handler = http_later_handler;

    http_server(boost::asio::io_context& context, request_handler handler, http_limits const& limits = {});
    http_server(boost::asio::io_context& context, later_handler handler, http_limits const& limits = {});
    http_server(http_server const&) = delete;
    http_server& operator=(http_server const&) = delete;
    /// Closes all.
    ~http_server();

    /// Listens on a literal address ("0.0.0.0", "::"; the latter for IPv6 only). \param port 0 for any.
    /// \return the port, or an error like "listen on 0.0.0.0:6969: Address already in use".
    [[nodiscard]] result<std::uint16_t> listen_tcp(std::string const& address, std::uint16_t port);

    /// Listens on a Unix socket at \p path, which has \p mode and \p group from the moment it exists. A socket without
    /// a listener is replaced; a live socket or another file at \p path is an error. close() removes the socket, unless
    /// another file is at its path by then.
    [[nodiscard]] result<void> listen_unix(std::string const& path, unsigned mode,
                                           std::optional<std::string> const& group = std::nullopt);

    /// Changes the limits of future connections, and closes those of clients that are no longer allowed.
    void set_limits(http_limits const& limits);

    /// Closes all listeners and connections. The handler is no longer called.
    void close();

    [[nodiscard]] std::size_t connections() const noexcept;

private:
    struct implementation;
    std::unique_ptr<implementation> m_impl;
};

} // namespace seedbed
