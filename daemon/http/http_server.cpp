#include "daemon/http/http_server.hpp"

#include <cerrno>
#include <exception>
#include <list>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "daemon/http/unix_listener.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using executor = asio::io_context::executor_type;

namespace {

using namespace std::chrono_literals;

/// Without descriptors nothing can be accepted: how long until that is tried again.
constexpr auto accept_pause = 200ms;
/// How much is read away after a refused request, so that the client sees the answer and not a reset connection.
constexpr std::size_t linger_bytes = 1U << 20;
constexpr auto linger_timeout = 2s;

std::string join(std::string const& address, std::uint16_t port) {
    auto const host = address.find(':') == std::string::npos ? address : "[" + address + "]";
    return host + ":" + std::to_string(port);
}

void set_addresses(asio::basic_stream_socket<asio::ip::tcp, executor> const& socket, http_request& request) {
    error_code ec;
    if (auto const remote = socket.remote_endpoint(ec); !ec) {
        request.peer_address = remote.address().to_string();
        request.peer_port = remote.port();
    }
    if (auto const local = socket.local_endpoint(ec); !ec) {
        request.local_address = local.address().to_string();
        request.local_port = local.port();
    }
}

void set_addresses(asio::basic_stream_socket<asio::local::stream_protocol, executor> const& /*socket*/,
                   http_request& /*request*/) {}

/// What the server needs of a connection, whichever protocol it uses.
class any_connection {
public:
    any_connection() = default;
    any_connection(any_connection const&) = delete;
    any_connection& operator=(any_connection const&) = delete;
    virtual ~any_connection() = default;
    virtual void close() = 0;
    [[nodiscard]] virtual bool is_idle() const = 0;
};

class any_listener {
public:
    any_listener() = default;
    any_listener(any_listener const&) = delete;
    any_listener& operator=(any_listener const&) = delete;
    virtual ~any_listener() = default;
    virtual void close() = 0;
};

} // namespace

/// Shared with the operations under way, which end after the server.
struct http_server::implementation : std::enable_shared_from_this<http_server::implementation> {
    template <class Protocol>
    class connection;
    template <class Protocol>
    class listener;

    implementation(asio::io_context& io, later_handler call, http_limits const& wanted)
        : context(io)
        , handler(std::move(call))
        , limits(wanted) {}

    /// Makes room for one more connection. False where all are busy.
    bool make_room() {
        if (connections.size() < limits.connections) {
            return true;
        }
        for (auto const& each : connections) { // the oldest first
            if (each->is_idle()) {
                auto const ended = each;
                connections.remove(ended);
                ended->close();
                return true;
            }
        }
        return false;
    }

    asio::io_context& context;
    later_handler handler;
    http_limits limits;
    std::vector<std::shared_ptr<any_listener>> listeners;
    std::list<std::shared_ptr<any_connection>> connections; ///< the one whose last request is longest ago is first
    std::vector<unix_listener> sockets;                     ///< the paths to be taken away
    bool closed = false;
};

/// One client: reads a request, writes its answer, and so on.
template <class Protocol>
class http_server::implementation::connection final : public any_connection,
                                                      public std::enable_shared_from_this<connection<Protocol>> {
public:
    using socket_type = asio::basic_stream_socket<Protocol, executor>;

    connection(std::shared_ptr<implementation> server, socket_type socket)
        : m_server(std::move(server))
        , m_limits(m_server->limits)
        , m_stream(std::move(socket))
        , m_buffer(m_limits.header_bytes + m_limits.body_bytes + 1) {}

    void start(bool refused) {
        m_server->connections.push_back(this->shared_from_this());
        set_addresses(m_stream.socket(), m_request);
        if (refused) {
            refuse(http::status::service_unavailable);
        } else {
            wait_for_request();
        }
    }

    void close() override { m_stream.close(); }
    [[nodiscard]] bool is_idle() const override { return m_idle; }

private:
    void wait_for_request() {
        if (m_buffer.size() > 0) { // of a client that does not wait for answers
            read_request();
            return;
        }
        m_idle = true;
        m_stream.expires_after(m_limits.idle_timeout);
        m_stream.async_read_some(m_buffer.prepare(m_limits.header_bytes),
                                 [self = this->shared_from_this()](error_code const& ec, std::size_t bytes) {
                                     self->m_idle = false;
                                     if (ec || self->m_server->closed) {
                                         self->end();
                                         return;
                                     }
                                     self->m_buffer.commit(bytes);
                                     self->read_request();
                                 });
    }

    void read_request() {
        m_parser.emplace();
        m_parser->header_limit(static_cast<std::uint32_t>(m_limits.header_bytes));
        m_parser->body_limit(m_limits.body_bytes);
        m_stream.expires_after(m_limits.request_timeout);
        http::async_read(m_stream, m_buffer, *m_parser,
                         [self = this->shared_from_this()](error_code const& ec, std::size_t) {
                             if (self->m_server->closed) {
                                 self->end();
                             } else if (ec) {
                                 self->on_bad_request(ec);
                             } else {
                                 self->answer();
                             }
                         });
    }

    void on_bad_request(error_code const& ec) {
        if (ec == http::error::header_limit || (ec == http::error::buffer_overflow && !m_parser->is_header_done())) {
            refuse(http::status::request_header_fields_too_large);
        } else if (ec == http::error::body_limit || ec == http::error::buffer_overflow) {
            refuse(http::status::payload_too_large);
        } else if (ec.category() == make_error_code(http::error::bad_method).category() &&
                   ec != http::error::end_of_stream && ec != http::error::partial_message) {
            refuse(http::status::bad_request);
        } else {
            end(); // closed, too slow, or reset
        }
    }

    void answer() {
        auto const& message = m_parser->get();
        auto const method = message.method();
        auto const is_head = method == http::verb::head;
        if (method != http::verb::get && !is_head && !(m_limits.post && method == http::verb::post)) {
            refuse(http::status::method_not_allowed);
            return;
        }
        m_request.method = is_head ? "GET" : std::string(message.method_string());
        m_request.target = std::string(message.target());
        m_request.body = message.body();
        ask_handler([self = this->shared_from_this(), version = message.version(), keep = message.keep_alive(),
                     is_head](http_response answered) {
            if (self->m_server->closed) {
                self->end();
            } else {
                self->send(std::move(answered), version, keep, is_head);
            }
        });
    }

    void ask_handler(respond const& answer) {
        try {
            m_server->handler(m_request, answer);
        } catch (std::exception const& failed) {
            log_error({{}, {}, m_request.peer_address},
                      "a request could not be answered: " + std::string(failed.what()));
            answer({500, "text/plain; charset=utf-8", "internal error\n"});
        }
    }

    void send(http_response answered, unsigned version, bool keep, bool is_head) {
        m_response = {};
        m_response.version(version);
        m_response.result(static_cast<unsigned>(answered.status));
        m_response.set(http::field::content_type, answered.content_type);
        m_response.keep_alive(keep);
        m_response.content_length(answered.body.size());
        if (!is_head) {
            m_response.body() = std::move(answered.body);
        }
        write(false);
    }

    /// Answers without the handler, and ends the connection: what follows on it can not be told from the request.
    void refuse(http::status status) {
        m_response = {};
        m_response.result(status);
        m_response.set(http::field::content_type, "text/plain; charset=utf-8");
        if (status == http::status::method_not_allowed) {
            m_response.set(http::field::allow, m_limits.post ? "GET, HEAD, POST" : "GET, HEAD");
        }
        m_response.keep_alive(false);
        m_response.body() = std::string(http::obsolete_reason(status)) + "\n";
        m_response.prepare_payload();
        write(true);
    }

    void write(bool refused) {
        m_response.set(http::field::server, user_agent());
        m_stream.expires_after(m_limits.request_timeout);
        http::async_write(m_stream, m_response,
                          [self = this->shared_from_this(), refused](error_code const& ec, std::size_t) {
                              if (ec || self->m_server->closed) {
                                  self->end();
                              } else if (refused || self->m_response.need_eof()) {
                                  self->begin_linger();
                              } else {
                                  self->move_to_end();
                                  self->wait_for_request();
                              }
                          });
    }

    /// Closing while bytes of the client are unread resets the connection, and takes an answer on its way with it.
    void begin_linger() {
        error_code ignored; // where it can not be shut down it is gone
        m_stream.socket().shutdown(socket_type::shutdown_send, ignored);
        m_stream.expires_after(linger_timeout);
        m_buffer.consume(m_buffer.size());
        linger(0);
    }

    void linger(std::size_t read) {
        m_stream.async_read_some(m_buffer.prepare(m_limits.header_bytes),
                                 [self = this->shared_from_this(), read](error_code const& ec, std::size_t bytes) {
                                     if (ec || self->m_server->closed || read + bytes > linger_bytes) {
                                         self->end();
                                         return;
                                     }
                                     self->linger(read + bytes);
                                 });
    }

    void move_to_end() {
        auto& all = m_server->connections;
        for (auto at = all.begin(); at != all.end(); ++at) {
            if (at->get() == this) {
                all.splice(all.end(), all, at);
                return;
            }
        }
    }

    void end() {
        m_stream.close();
        m_server->connections.remove_if([this](auto const& each) { return each.get() == this; });
    }

    std::shared_ptr<implementation> m_server;
    http_limits const m_limits; ///< those of the time when it was accepted
    beast::basic_stream<Protocol, executor> m_stream;
    beast::flat_buffer m_buffer;
    std::optional<http::request_parser<http::string_body>> m_parser;
    http_request m_request;
    http::response<http::string_body> m_response;
    bool m_idle = false;
};

template <class Protocol>
class http_server::implementation::listener final : public any_listener,
                                                    public std::enable_shared_from_this<listener<Protocol>> {
public:
    using acceptor = asio::basic_socket_acceptor<Protocol, executor>;

    listener(std::shared_ptr<implementation> const& server, acceptor opened, std::string name)
        : m_server(server)
        , m_acceptor(std::move(opened))
        , m_pause(server->context)
        , m_name(std::move(name)) {}

    void accept() {
        m_acceptor.async_accept([self = this->shared_from_this()](error_code const& ec, auto socket) {
            auto const server = self->m_server.lock();
            if (!server || server->closed) {
                return;
            }
            if (ec) {
                self->pause(ec);
                return;
            }
            self->m_failure = {};
            auto const room = server->make_room();
            std::make_shared<connection<Protocol>>(server, std::move(socket))->start(!room);
            self->accept();
        });
    }

    void close() override {
        error_code ignored; // nothing is lost with it
        m_acceptor.close(ignored);
        m_pause.cancel();
    }

private:
    void pause(error_code const& ec) {
        if (ec == asio::error::connection_aborted) { // by the client, before it was accepted
            accept();
            return;
        }
        if (ec != std::exchange(m_failure, ec)) {
            log_warning({}, "accepting connections on " + m_name + ": " + ec.message() + "; trying again");
        }
        m_pause.expires_after(accept_pause);
        m_pause.async_wait([self = this->shared_from_this()](error_code const& cancelled) {
            if (!cancelled) {
                self->accept();
            }
        });
    }

    std::weak_ptr<implementation> m_server;
    acceptor m_acceptor;
    asio::steady_timer m_pause;
    std::string m_name;
    error_code m_failure; ///< the last one logged
};

http_server::http_server(asio::io_context& context, request_handler handler, http_limits const& limits)
    : http_server(
          context,
          [handler = std::move(handler)](http_request const& request, respond const& answer) {
              answer(handler(request));
          },
          limits) {}

http_server::http_server(asio::io_context& context, later_handler handler, http_limits const& limits)
    : m_impl(std::make_shared<implementation>(context, std::move(handler), limits)) {}

http_server::~http_server() {
    close();
}

result<std::uint16_t> http_server::listen_tcp(std::string const& address, std::uint16_t port) {
    auto const name = join(address, port);
    auto const failed = [&name](error_code const& ec) {
        return tl::unexpected(error{"listen on " + name + ": " + ec.message()});
    };
    error_code ec;
    auto const literal = asio::ip::make_address(address, ec);
    if (ec) {
        return failed(ec);
    }
    asio::ip::tcp::endpoint const endpoint(literal, port);
    asio::basic_socket_acceptor<asio::ip::tcp, executor> acceptor(m_impl->context.get_executor());
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) {
        acceptor.set_option(asio::socket_base::reuse_address(true), ec);
    }
    if (!ec && literal.is_v6()) {
        acceptor.set_option(asio::ip::v6_only(true), ec);
    }
    if (!ec) {
        acceptor.bind(endpoint, ec);
    }
    if (!ec) {
        acceptor.listen(asio::socket_base::max_listen_connections, ec);
    }
    if (ec) {
        return failed(ec);
    }
    auto const local = acceptor.local_endpoint(ec);
    if (ec) {
        return failed(ec);
    }
    auto const opened = std::make_shared<implementation::listener<asio::ip::tcp>>(m_impl, std::move(acceptor),
                                                                                  join(address, local.port()));
    m_impl->listeners.push_back(opened);
    opened->accept();
    return local.port();
}

result<void> http_server::listen_unix(std::string const& path, unsigned mode, std::optional<std::string> const& group) {
    auto opened = unix_listener::open(path, mode, group);
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    error_code ec;
    asio::basic_socket_acceptor<asio::local::stream_protocol, executor> acceptor(m_impl->context.get_executor());
    auto descriptor = opened->take_descriptor();
    acceptor.assign(asio::local::stream_protocol(), descriptor.get(), ec);
    if (ec) {
        return tl::unexpected(error{"listen on " + path + ": " + ec.message()});
    }
    static_cast<void>(descriptor.release()); // the acceptor owns it now
    m_impl->sockets.push_back(std::move(*opened));
    auto const listener =
        std::make_shared<implementation::listener<asio::local::stream_protocol>>(m_impl, std::move(acceptor), path);
    m_impl->listeners.push_back(listener);
    listener->accept();
    return {};
}

void http_server::set_limits(http_limits const& limits) {
    m_impl->limits = limits;
}

void http_server::close() {
    m_impl->closed = true;
    m_impl->sockets.clear();
    for (auto const& each : std::exchange(m_impl->listeners, {})) {
        each->close();
    }
    for (auto const& each : std::exchange(m_impl->connections, {})) {
        each->close();
    }
}

std::size_t http_server::connections() const noexcept {
    return m_impl->connections.size();
}

} // namespace seedbed
