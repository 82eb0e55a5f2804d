#include "daemon/status/status_client.hpp"

#include <cstdint>
#include <exception>
#include <optional>
#include <utility>

#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>

namespace seedbed {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using local = asio::local::stream_protocol;

namespace {

/// More than the document of thousands of images and peers; limited, since any program can listen on a socket.
constexpr std::uint64_t max_answer = 256U << 20;

std::string what_to_do(error_code const& ec) {
    if (ec == asio::error::access_denied) {
        return "only root and the group seedbed may connect; add yourself to the group (usermod -aG seedbed USER) and "
               "log in again";
    }
    if (ec == boost::system::errc::no_such_file_or_directory) {
        return "no daemon is running, or it uses another socket ([control] socket); pass its path with --socket";
    }
    if (ec == asio::error::connection_refused) {
        return "the daemon has stopped; start it (systemctl start seedbed)";
    }
    if (ec == beast::error::timeout) {
        return "the daemon does not answer; see its log (journalctl -u seedbed)";
    }
    return "is it the control socket of a Seedbed daemon?";
}

} // namespace

struct status_client::request : std::enable_shared_from_this<status_client::request> {
    request(asio::io_context& context, std::string path, receiver receive)
        : stream(context)
        , socket(std::move(path))
        , call(std::move(receive)) {
        parser.body_limit(max_answer);
    }

    void start(std::string const& target, std::chrono::milliseconds timeout) {
        message.method(http::verb::get);
        message.target(target);
        message.version(11);
        message.set(http::field::host, "localhost");
        message.keep_alive(false);
        stream.expires_after(timeout);
        try {
            stream.async_connect(local::endpoint(socket), [self = shared_from_this()](error_code const& ec) {
                self->next(ec, [&] { self->send(); });
            });
        } catch (std::exception const&) { // thrown by the endpoint
            finish(tl::unexpected(error{socket + ": too long for the path of a socket"}));
        }
    }

    void send() {
        http::async_write(stream, message, [self = shared_from_this()](error_code const& ec, std::size_t) {
            self->next(ec, [&] { self->receive(); });
        });
    }

    void receive() {
        http::async_read(stream, buffer, parser, [self = shared_from_this()](error_code const& ec, std::size_t) {
            self->next(ec, [&] { self->take(); });
        });
    }

    void take() {
        auto& answer = parser.get();
        if (answer.result() != http::status::ok) {
            auto const line = answer.body().substr(0, answer.body().find('\n'));
            finish(
                tl::unexpected(error{socket + ": HTTP status " + std::to_string(answer.result_int()) + ": " + line}));
            return;
        }
        finish(std::move(answer.body()));
    }

    template <class Next>
    void next(error_code const& ec, Next go_on) {
        if (!call) {
            return; // the client is gone
        }
        if (ec) {
            auto const reason = ec == beast::error::timeout ? std::string("timed out") : ec.message();
            finish(tl::unexpected(error{socket + ": " + reason + ": " + what_to_do(ec)}));
            return;
        }
        go_on();
    }

    void finish(result<std::string> outcome) {
        stream.close();
        if (auto const receive = std::exchange(call, nullptr)) {
            receive(std::move(outcome));
        }
    }

    beast::basic_stream<local> stream;
    std::string socket;
    receiver call;
    http::request<http::empty_body> message;
    beast::flat_buffer buffer;
    http::response_parser<http::string_body> parser;
};

status_client::status_client(asio::io_context& context, std::string socket)
    : m_context(context)
    , m_socket(std::move(socket)) {}

status_client::~status_client() {
    if (m_present) {
        m_present->call = nullptr;
        m_present->stream.close();
    }
}

void status_client::get(std::string const& target, std::chrono::milliseconds timeout, receiver call) {
    m_present = std::make_shared<request>(m_context, m_socket, std::move(call));
    m_present->start(target, timeout);
}

result<std::string> ask_daemon(std::string const& socket, std::string const& target,
                               std::chrono::milliseconds timeout) {
    asio::io_context context{1};
    status_client client(context, socket);
    result<std::string> outcome = tl::unexpected(error{socket + ": no answer"});
    client.get(target, timeout, [&outcome](result<std::string> answer) { outcome = std::move(answer); });
    context.run();
    return outcome;
}

} // namespace seedbed
