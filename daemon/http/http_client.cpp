#include "daemon/http/http_client.hpp"

#include <algorithm>
#include <utility>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

#include "daemon/text/quantity_text.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;

http_endpoint::http_endpoint(asio::ip::tcp::endpoint const& server, asio::ip::address const& local)
    : m_server(server) {
    if (!local.is_unspecified()) {
        m_local = generic(asio::ip::tcp::endpoint(local, 0));
    }
}

std::optional<http_endpoint> http_endpoint::unix_socket(std::string const& path) {
    try {
        return http_endpoint(generic(asio::local::stream_protocol::endpoint(path)));
    } catch (boost::system::system_error const&) { // the path is too long
        return std::nullopt;
    }
}

/// One request and its response. Shared with the pending operations, which may end after the client.
class http_client::exchange : public std::enable_shared_from_this<exchange> {
public:
    exchange(asio::io_context& context, limits const& allowed, receiver receive)
        : m_stream(context)
        , m_timeout(allowed.timeout)
        , m_connect_timeout(allowed.connect_timeout.count() > 0 ? std::min(allowed.connect_timeout, allowed.timeout)
                                                                : allowed.timeout)
        , m_body_bytes(allowed.body_bytes)
        , m_receive(std::move(receive)) {
        m_parser.header_limit(allowed.header_bytes);
        m_parser.body_limit(allowed.body_bytes);
    }

    void start(http_endpoint const& from, request const& wanted) {
        m_request.method(wanted.post ? http::verb::post : http::verb::get);
        m_request.version(10); // its responses have no chunks: see read_body()
        m_request.target(wanted.target);
        m_request.set(http::field::host, wanted.host);
        m_request.set(http::field::user_agent, user_agent());
        m_request.keep_alive(false);
        m_request.prepare_payload();
        if (auto const failed = bind(from)) {
            asio::post(m_stream.get_executor(), [self = shared_from_this(), failed] { self->fail(failed); });
            return;
        }
        m_stream.expires_after(m_connect_timeout);
        m_deadline = clock::now() + m_timeout;
        m_stream.async_connect(
            from.server(), [self = shared_from_this()](error_code const& ec) { self->after(ec, &exchange::write); });
    }

    void cancel() {
        m_receive = nullptr;
        m_stream.close();
    }

private:
    error_code bind(http_endpoint const& from) {
        error_code ec;
        if (from.local()) {
            m_stream.socket().open(from.server().protocol(), ec);
            if (!ec) {
                m_stream.socket().bind(*from.local(), ec);
            }
        }
        return ec;
    }

    void write() {
        m_connected = true;
        m_stream.expires_at(m_deadline); // covers all following operations
        http::async_write(m_stream, m_request, [self = shared_from_this()](error_code const& ec, std::size_t) {
            self->after(ec, &exchange::read_header);
        });
    }

    void read_header() {
        http::async_read_header(
            m_stream, m_buffer, m_parser,
            [self = shared_from_this()](error_code const& ec, std::size_t) { self->after(ec, &exchange::read_body); });
    }

    void read_body() {
        // The parser of Boost 1.74 fails an assertion, or reads beyond its buffer, if the last chunk arrives in parts.
        if (m_parser.chunked()) {
            fail(make_error_code(http::error::bad_transfer_encoding));
            return;
        }
        // It also accepts a body above its limit if its header arrives with it.
        if (auto const length = m_parser.content_length(); length && *length > m_body_bytes) {
            fail(make_error_code(http::error::body_limit));
            return;
        }
        http::async_read(m_stream, m_buffer, m_parser, [self = shared_from_this()](error_code const& ec, std::size_t) {
            self->after(ec, &exchange::deliver);
        });
    }

    void after(error_code const& ec, void (exchange::*next)()) {
        if (ec) {
            fail(ec);
        } else if (m_receive) {
            (this->*next)();
        }
    }

    void deliver() {
        auto& message = m_parser.get();
        finish(response{message.result_int(), std::string(message[http::field::server]), std::move(message.body()),
                        std::string(message[http::field::location])});
    }

    void fail(error_code const& ec) {
        auto const timeout = m_connected ? m_timeout : m_connect_timeout;
        auto reason = ec == beast::error::timeout ? "no answer within " + format_duration(timeout) : ec.message();
        finish(tl::unexpected(failure{ec, std::move(reason)}));
    }

    void finish(tl::expected<response, failure> outcome) {
        m_stream.close();
        if (auto const receive = std::exchange(m_receive, nullptr)) {
            receive(std::move(outcome));
        }
    }

    beast::basic_stream<asio::generic::stream_protocol> m_stream;
    using clock = std::chrono::steady_clock;

    std::chrono::milliseconds const m_timeout;
    std::chrono::milliseconds const m_connect_timeout;
    clock::time_point m_deadline{};
    bool m_connected = false;
    std::uint64_t const m_body_bytes;
    receiver m_receive; ///< empty after it has been called or the exchange was cancelled
    http::request<http::empty_body> m_request;
    beast::flat_buffer m_buffer;
    http::response_parser<http::string_body> m_parser;
};

http_client::http_client(asio::io_context& context)
    : m_context(context) {}

http_client::~http_client() {
    cancel();
}

void http_client::get(http_endpoint const& from, request const& wanted, limits const& allowed, receiver receive) {
    cancel();
    auto const begun = std::make_shared<exchange>(m_context, allowed, std::move(receive));
    m_exchange = begun;
    begun->start(from, wanted);
}

void http_client::cancel() {
    if (auto const under_way = m_exchange.lock()) {
        m_exchange.reset();
        under_way->cancel();
    }
}

} // namespace seedbed
