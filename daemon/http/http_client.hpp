#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/system/error_code.hpp>
#include <tl/expected.hpp>

namespace seedbed {

/// The address of an HTTP server: a TCP endpoint, or the path of a Unix stream socket.
class http_endpoint {
public:
    using generic = boost::asio::generic::stream_protocol::endpoint;

    /// \param local the address to connect from; the system chooses it if \p local is unspecified.
    explicit http_endpoint(boost::asio::ip::tcp::endpoint const& server, boost::asio::ip::address const& local = {});
    /// Nothing if \p path is too long for a socket (108 bytes on Linux, unix(7)).
    [[nodiscard]] static std::optional<http_endpoint> unix_socket(std::string const& path);

    [[nodiscard]] generic const& server() const noexcept { return m_server; }
    [[nodiscard]] std::optional<generic> const& local() const noexcept { return m_local; }

private:
    explicit http_endpoint(generic server)
        : m_server(std::move(server)) {}

    generic m_server;
    std::optional<generic> m_local;
};

/// Sends a request to one endpoint, on a separate connection, and receives the response, whatever its status.
///
/// Threads: confined to the one that runs the io_context. The receiver is called there, never from within get().
class http_client {
public:
    struct request {
        std::string target; ///< "/status"
        std::string host;   ///< the Host header: "localhost", "192.0.2.1:6969"
        bool post = false;  ///< POST, without a body, instead of GET
    };
    struct limits {
        std::chrono::milliseconds timeout{5000}; ///< from connecting to the last byte of the response
        std::uint32_t header_bytes = 8U << 10;
        std::uint64_t body_bytes = 64U << 10;
        std::chrono::milliseconds connect_timeout{0}; ///< for connecting alone; 0: no such limit
    };
    struct response {
        unsigned status = 0;
        std::string server; ///< the Server header; empty if it is missing
        std::string body;
        std::string location; ///< the Location header; empty if it is missing
    };
    struct failure {
        boost::system::error_code code;
        std::string reason; ///< "Connection refused", "no answer within 5s"
    };
    using receiver = std::function<void(tl::expected<response, failure>)>;

    explicit http_client(boost::asio::io_context& context);
    http_client(http_client const&) = delete;
    http_client& operator=(http_client const&) = delete;
    /// Cancels the request.
    ~http_client();

    /// Calls \p receive once, unless the request is cancelled first. A pending request is cancelled by the next one.
    void get(http_endpoint const& from, request const& wanted, limits const& allowed, receiver receive);
    /// Closes the connection; the receiver is no longer called.
    void cancel();

private:
    class exchange;
    boost::asio::io_context& m_context;
    /// Owned by its pending operation: what it keeps alive may own this client.
    std::weak_ptr<exchange> m_exchange;
};

} // namespace seedbed
