#include "daemon/status/status_client.hpp"

#include <cstdint>
#include <utility>

#include <boost/asio/error.hpp>
#include <boost/beast/core/error.hpp>

namespace seedbed {

namespace asio = boost::asio;
namespace beast = boost::beast;
using boost::system::error_code;

namespace {

/// More than the document of thousands of images and peers; limited, because any program can listen on a socket.
constexpr std::uint64_t max_answer = 256U << 20;
constexpr unsigned http_ok = 200;

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

status_client::status_client(asio::io_context& context, std::string socket)
    : m_socket(std::move(socket))
    , m_client(context) {}

void status_client::get(std::string const& target, std::chrono::milliseconds timeout, receiver call) {
    auto const from = http_endpoint::unix_socket(m_socket);
    if (!from) {
        call(tl::unexpected(error{m_socket + ": too long for the path of a socket"}));
        return;
    }
    m_client.get(
        *from, {target, "localhost"}, {.timeout = timeout, .body_bytes = max_answer},
        [socket = m_socket, call = std::move(call)](auto got) {
            if (!got) {
                call(tl::unexpected(error{socket + ": " + got.error().reason + ": " + what_to_do(got.error().code)}));
            } else if (got->status != http_ok) {
                auto const line = got->body.substr(0, got->body.find('\n'));
                call(tl::unexpected(error{socket + ": HTTP status " + std::to_string(got->status) + ": " + line}));
            } else {
                call(std::move(got->body));
            }
        });
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

result<std::optional<reload_outcome>> ask_for_reload(std::string const& socket, std::chrono::milliseconds timeout) {
    auto const from = http_endpoint::unix_socket(socket);
    if (!from) {
        return tl::unexpected(error{socket + ": too long for the path of a socket"});
    }
    asio::io_context context{1};
    http_client client(context);
    tl::expected<http_client::response, http_client::failure> got = tl::unexpected(http_client::failure{});
    client.get(*from, {"/reload", "localhost", true}, {.timeout = timeout}, [&got](auto answer) { got = answer; });
    context.run();
    if (!got) {
        auto const& [code, reason] = got.error();
        if (code == boost::system::errc::no_such_file_or_directory || code == asio::error::connection_refused) {
            return std::nullopt;
        }
        return tl::unexpected(error{socket + ": " + reason + ": " + what_to_do(code)});
    }
    auto outcome = parse_reload_document(got->body);
    if (got->status != http_ok || !outcome) {
        return tl::unexpected(error{socket + ": HTTP status " + std::to_string(got->status) +
                                    ": is an older daemon running? Restart it"});
    }
    return std::move(*outcome);
}

} // namespace seedbed
