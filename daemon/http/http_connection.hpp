#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <string>

#include <boost/asio/basic_stream_socket.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "daemon/http/http_body.hpp"
#include "daemon/http/http_message.hpp"
#include "daemon/log/line_limit.hpp"

namespace seedbed {

class http_connection;

/// The connections of a server, with the handler and the limits that they share.
///
/// Threads: confined to the one that runs the io_context.
class http_connections : public std::enable_shared_from_this<http_connections> {
public:
    using socket =
        boost::asio::basic_stream_socket<boost::asio::generic::stream_protocol, boost::asio::io_context::executor_type>;

    http_connections(http_later_handler handler, http_limits limits);

    /// Serves a client. A client that is not allowed is disconnected. If all connections are in use, or all of its
    /// address, one is closed in its favour. It belongs to the address that has the most connections, and is an idle
    /// one, otherwise one still receiving its request, otherwise one sending its response; among these, the least
    /// recently active one. If all connections are handling requests, the client gets a 503. \param from has the
    /// addresses of both sides.
    void add(socket accepted, http_request from);
    void remove(http_connection const& ended);
    /// Must be called when \p active has answered a request.
    void move_to_end(http_connection const& active);
    /// Closes all; the handler is no longer called.
    void close();

    [[nodiscard]] bool is_closed() const noexcept { return m_closed; }
    [[nodiscard]] std::size_t size() const noexcept { return m_all.size(); }
    [[nodiscard]] http_limits const& limits() const noexcept { return m_limits; }
    /// A fifth of \p timeout while more than half of the connections are in use.
    [[nodiscard]] std::chrono::milliseconds under_load(std::chrono::milliseconds timeout) const {
        return 2 * m_all.size() > m_limits.connections ? timeout / 5 : timeout;
    }
    /// For future connections. Those of clients that are no longer allowed are closed.
    void set_limits(http_limits const& limits);
    [[nodiscard]] http_later_handler const& handler() const noexcept { return m_handler; }

private:
    [[nodiscard]] bool may_connect(http_request const& from) const;
    [[nodiscard]] bool make_room(std::string const& address);
    using connection_list = std::list<std::shared_ptr<http_connection>>;

    [[nodiscard]] bool close_one_of(std::string const& address);
    /// Of the addresses with the most connections, one that is idle rather than one that is served.
    [[nodiscard]] bool close_one();
    [[nodiscard]] bool close_chosen(connection_list::iterator chosen);

    http_later_handler m_handler;
    http_limits m_limits;
    connection_list m_all; ///< the least recently active first
    line_limit m_refusals{5, std::chrono::minutes(1)};
    bool m_closed = false;
};

/// One client: reads a request, writes its response, and so on.
///
/// Shared with the pending operations, which may end after the server. Threads: as http_connections.
class http_connection : public std::enable_shared_from_this<http_connection> {
public:
    http_connection(std::shared_ptr<http_connections> all, http_connections::socket socket, http_request from);

    /// In the order in which connections are closed to make room; one that is handling a request never is.
    enum class phase : std::uint8_t { idle, receiving, sending, handling };

    void start();
    /// Answers 503, then ends.
    void start_refused();
    void close() { m_stream.close(); }
    [[nodiscard]] phase current() const noexcept { return m_phase; }
    /// Has the addresses of both sides.
    [[nodiscard]] http_request const& from() const noexcept { return m_request; }

private:
    void wait_for_request();
    void read_request();
    void read_body();
    void on_bad_request(boost::system::error_code const& ec);
    void answer();
    void ask_handler(http_respond const& answer);
    void send(http_response answered, unsigned version, bool keep, bool is_head);
    void refuse(boost::beast::http::status status);
    void write(bool refused);
    void write_header(std::function<void(http_push)> on_open);
    [[nodiscard]] bool push(std::shared_ptr<std::string const> part);
    void write_part(std::shared_ptr<std::string const> part);
    void read_next_part();
    void send_part(std::shared_ptr<std::string const> part);
    void end_response(bool refused);
    void begin_linger();
    void linger(std::size_t read);
    void end();

    std::shared_ptr<http_connections> m_all;
    http_limits const m_limits; ///< at the time the connection was accepted
    boost::beast::basic_stream<boost::asio::generic::stream_protocol, boost::asio::io_context::executor_type> m_stream;
    boost::beast::flat_buffer m_buffer;
    std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> m_parser;
    http_request m_request;
    boost::beast::http::response<http_body> m_response;
    /// Of a response without an end.
    std::optional<boost::beast::http::response_serializer<http_body>> m_serializer;
    http_parts m_parts;     ///< of the response that is being sent; its size is that of the parts to come
    bool m_pushing = false; ///< a part is being sent
    std::shared_ptr<std::string const> m_waiting; ///< the part that is sent next; null if there is none
    phase m_phase = phase::idle;
};

} // namespace seedbed
