#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/io_context.hpp>

#include "core/foundation/error.hpp"

namespace seedbed {

/// A request as the handler sees it. Addresses are literals without brackets, and empty on a Unix socket.
struct http_request {
    std::string method; ///< "GET" for a HEAD, too: its answer goes out without the body
    std::string target; ///< as it was sent: "/announce?info_hash=%12..."
    std::string body;
    std::string peer_address;
    std::uint16_t peer_port = 0;
    std::string local_address; ///< at which the peer reached this machine
    std::uint16_t local_port = 0;
};

struct http_response {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
};

struct http_limits {
    std::size_t header_bytes = 8U << 10;            ///< of a request, with its first line; more is answered with 431
    std::size_t body_bytes = 0;                     ///< of a request; more is answered with 413
    std::size_t connections = 256;                  ///< at a time; one more ends the one that has been idle for longest
    std::chrono::milliseconds idle_timeout{30'000}; ///< between two requests, and before the first
    std::chrono::milliseconds request_timeout{10'000}; ///< from a request's first byte to its last, and for its answer
    bool post = false;                                 ///< whether POST goes to the handler as well as GET and HEAD
};

/// A small HTTP/1.1 server for TCP and Unix stream sockets, with keep-alive. What a client does wrong is answered
/// (400, 405, 413, 431, 503 where all connections are busy) or ends its connection, nothing else.
///
/// Threads: confined to the one that runs the io_context; the handler is called there and must not block.
class http_server {
public:
    /// Gives each request its answer. An exception is answered with 500 and logged.
    using request_handler = std::function<http_response(http_request const&)>;

    /// Gives an answer: to be called once, on the thread of the io_context, at once or later. Harmless where the
    /// connection or the server has gone meanwhile.
    using respond = std::function<void(http_response)>;
    /// Gives each request its answer when it has one; the connection waits for it, however long. An exception is
    /// answered with 500 and logged.
    using later_handler = std::function<void(http_request const&, respond)>;

    http_server(boost::asio::io_context& context, request_handler handler, http_limits const& limits = {});
    http_server(boost::asio::io_context& context, later_handler handler, http_limits const& limits = {});
    http_server(http_server const&) = delete;
    http_server& operator=(http_server const&) = delete;
    /// Closes.
    ~http_server();

    /// Listens on a literal address ("0.0.0.0", "::"; IPv6 alone with the latter). \param port 0 for any.
    /// \return the port, or an error like "listen on 0.0.0.0:6969: Address already in use".
    [[nodiscard]] result<std::uint16_t> listen_tcp(std::string const& address, std::uint16_t port);

    /// Listens on a Unix socket at \p path, which has its \p mode and \p group from the moment when it is there. A
    /// socket on which nobody listens any more is replaced; one on which somebody does, and what is no socket, is
    /// refused. The socket is taken away again by close(), unless something else stands at its path by then.
    [[nodiscard]] result<void> listen_unix(std::string const& path, unsigned mode,
                                           std::optional<std::string> const& group = std::nullopt);

    /// Changes the limits, for connections and requests to come.
    void set_limits(http_limits const& limits);

    /// Ends all listeners and connections. The handler is not called any more.
    void close();

    [[nodiscard]] std::size_t connections() const noexcept;

private:
    struct implementation;
    std::shared_ptr<implementation> m_impl;
};

} // namespace seedbed
