#include "daemon/http/http_server.hpp"

#include <cerrno>
#include <chrono>
#include <optional>
#include <utility>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/http/http_connection.hpp"
#include "daemon/http/unix_listener.hpp"
#include "daemon/log/logging.hpp"

namespace seedbed {

namespace asio = boost::asio;
using boost::system::error_code;
using executor = asio::io_context::executor_type;

namespace {

using namespace std::chrono_literals;

/// Delay before the next attempt to accept, for example while no descriptor is free.
constexpr auto accept_pause = 200ms;
/// A failure to accept after this much time without one is a new event. Clients can let descriptors come and go.
constexpr auto accept_quiet = 60s;

std::string join(std::string const& address, std::uint16_t port) {
    auto const host = address.find(':') == std::string::npos ? address : "[" + address + "]";
    return host + ":" + std::to_string(port);
}

/// \return false if the client has reset the connection: who it was is then unknown, though what it sent can be read.
bool set_addresses(asio::basic_stream_socket<asio::ip::tcp, executor> const& socket, http_request& request) {
    error_code no_remote;
    error_code no_local;
    auto const remote = socket.remote_endpoint(no_remote);
    auto const local = socket.local_endpoint(no_local);
    if (no_remote || no_local) {
        return false;
    }
    request.peer_address = remote.address().to_string();
    request.peer_port = remote.port();
    request.local_address = local.address().to_string();
    request.local_port = local.port();
    return true;
}

bool set_addresses(asio::basic_stream_socket<asio::local::stream_protocol, executor> const& /*socket*/,
                   http_request& /*request*/) {
    return true;
}

class any_listener {
public:
    any_listener() = default;
    any_listener(any_listener const&) = delete;
    any_listener& operator=(any_listener const&) = delete;
    virtual ~any_listener() = default;
    virtual void close() = 0;
};

} // namespace

struct http_server::implementation {
    template <class Protocol>
    class listener;

    implementation(asio::io_context& io, later_handler call, http_limits const& limits)
        : context(io)
        , connections(std::make_shared<http_connections>(std::move(call), limits)) {}

    asio::io_context& context;
    std::shared_ptr<http_connections> connections; ///< shared with each of them
    std::vector<std::shared_ptr<any_listener>> listeners;
    std::vector<unix_listener> sockets; ///< their paths are unlinked at the end
};

template <class Protocol>
class http_server::implementation::listener final : public any_listener,
                                                    public std::enable_shared_from_this<listener<Protocol>> {
public:
    using acceptor = asio::basic_socket_acceptor<Protocol, executor>;

    listener(implementation const& server, acceptor opened, std::string name)
        : m_connections(server.connections)
        , m_acceptor(std::move(opened))
        , m_pause(server.context)
        , m_name(std::move(name)) {}

    void accept() {
        m_acceptor.async_accept([self = this->shared_from_this()](error_code const& ec, auto socket) {
            auto const all = self->m_connections.lock();
            if (!all || all->is_closed()) {
                return;
            }
            if (ec) {
                self->pause(ec);
                return;
            }
            http_request from;
            if (set_addresses(socket, from)) {
                all->add(std::move(socket), std::move(from));
            }
            self->accept();
        });
    }

    void close() override {
        error_code ignored; // closed in any case
        m_acceptor.close(ignored);
        m_pause.cancel();
    }

private:
    void pause(error_code const& ec) {
        if (ec == asio::error::connection_aborted) { // by the client, before it was accepted
            accept();
            return;
        }
        auto const now = std::chrono::steady_clock::now();
        if (auto const last = std::exchange(m_failed, now); !last || now - *last > accept_quiet) {
            log_warning({}, "cannot accept connections on " + m_name + ": " + ec.message() + "; retrying");
        }
        m_pause.expires_after(accept_pause);
        m_pause.async_wait([self = this->shared_from_this()](error_code const& cancelled) {
            if (!cancelled) {
                self->accept();
            }
        });
    }

    std::weak_ptr<http_connections> m_connections;
    acceptor m_acceptor;
    asio::steady_timer m_pause;
    std::string m_name;
    std::optional<std::chrono::steady_clock::time_point> m_failed; ///< the last time that it could not accept
};

http_server::http_server(asio::io_context& context, request_handler handler, http_limits const& limits)
    : http_server(
          context,
          [handler = std::move(handler)](http_request const& request, respond const& answer) {
              answer(handler(request));
          },
          limits) {}

http_server::http_server(asio::io_context& context, later_handler handler, http_limits const& limits)
    : m_impl(std::make_unique<implementation>(context, std::move(handler), limits)) {}

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
    auto const opened = std::make_shared<implementation::listener<asio::ip::tcp>>(*m_impl, std::move(acceptor),
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
        std::make_shared<implementation::listener<asio::local::stream_protocol>>(*m_impl, std::move(acceptor), path);
    m_impl->listeners.push_back(listener);
    listener->accept();
    return {};
}

void http_server::set_limits(http_limits const& limits) {
    m_impl->connections->set_limits(limits);
}

void http_server::close() {
    m_impl->sockets.clear();
    for (auto const& each : std::exchange(m_impl->listeners, {})) {
        each->close();
    }
    m_impl->connections->close();
}

std::size_t http_server::connections() const noexcept {
    return m_impl->connections->size();
}

} // namespace seedbed
