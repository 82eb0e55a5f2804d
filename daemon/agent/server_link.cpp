#include "daemon/agent/server_link.hpp"

#include <charconv>
#include <optional>
#include <string_view>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>

#include "daemon/fleet/host_report.hpp"
#include "daemon/http/host_resolver.hpp"

namespace seedbed {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;

constexpr unsigned status_ok = 200;
constexpr char const* letters_of_challenge = "0123456789abcdefghijklmnopqrstuvwxyz";

bool is_host_name(std::string_view host) {
    return !host.empty() && host.size() < 254 &&
           host.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_:") ==
               std::string_view::npos;
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    return ec == std::errc{} && end == text.data() + text.size() && port != 0 ? std::optional(port) : std::nullopt;
}

} // namespace

std::string server_url::text() const {
    auto const v6 = host.find(':') != std::string::npos;
    return "http://" + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

result<server_url> parse_server_url(std::string const& text) {
    auto const bad = [&text] {
        return tl::unexpected(error{"'" + text + "' is not a server: expected http://HOST:PORT"});
    };
    std::string_view rest = text;
    constexpr std::string_view scheme = "http://";
    if (rest.starts_with(scheme)) {
        rest.remove_prefix(scheme.size());
    }
    if (rest.ends_with('/')) {
        rest.remove_suffix(1);
    }
    server_url server;
    auto const bracket = rest.starts_with('[') ? rest.find(']') : std::string_view::npos;
    auto const colon = rest.find(':', bracket == std::string_view::npos ? 0 : bracket);
    if (colon != std::string_view::npos) {
        auto const port = parse_port(rest.substr(colon + 1));
        if (!port) {
            return bad();
        }
        server.port = *port;
        rest = rest.substr(0, colon);
    }
    if (bracket != std::string_view::npos) {
        if (bracket + 1 != rest.size()) {
            return bad();
        }
        rest = rest.substr(1, bracket - 1);
    }
    if (!is_host_name(rest) || (bracket == std::string_view::npos && rest.find(':') != std::string_view::npos)) {
        return bad();
    }
    server.host = std::string(rest);
    return server;
}

server_link::server_link(server_url server, std::shared_ptr<shared_secret const> secret)
    : m_server(std::move(server))
    , m_secret(std::move(secret)) {}

result<std::vector<tcp::endpoint>> server_link::resolve() const {
    boost::system::error_code ec;
    if (auto const literal = asio::ip::make_address(m_server.host, ec); !ec) {
        return std::vector{tcp::endpoint(literal, m_server.port)};
    }
    host_resolver::endpoints found;
    if (auto const failed = host_resolver::look_up(m_server.host, found); failed) {
        return tl::unexpected(error{failed.message()});
    }
    for (auto& each : found) {
        each.port(m_server.port);
    }
    return found;
}

result<server_link::response> server_link::get_from(tcp::endpoint const& from, std::string const& target,
                                                    http_client::limits const& allowed) const {
    asio::io_context context{1};
    http_client client(context);
    result<response> outcome = tl::unexpected(error{"no answer"});
    auto const host = m_server.text().substr(std::string_view("http://").size());
    client.get(http_endpoint(from), {target, host}, allowed, [&outcome](auto got) {
        outcome = got ? result<response>(std::move(*got)) : result<response>(tl::unexpected(error{got.error().reason}));
    });
    context.run();
    return outcome;
}

result<server_link::response> server_link::get(std::string const& target, http_client::limits const& allowed) const {
    auto const addresses = resolve();
    if (!addresses) {
        return tl::unexpected(addresses.error());
    }
    result<response> outcome = tl::unexpected(error{"no address"});
    for (auto const& address : *addresses) {
        outcome = get_from(address, target, allowed);
        if (outcome) {
            break;
        }
    }
    return outcome;
}

result<server_link::response> server_link::ask_at(tcp::endpoint const& from, std::string const& path,
                                                  std::string const& query, http_client::limits const& allowed) const {
    if (!m_secret) {
        return get_from(from, path + "?" + query, allowed);
    }
    auto challenge = get_from(from, "/challenge", allowed);
    if (!challenge) {
        return challenge;
    }
    // A server without a secret has no challenge.
    auto const challenged = challenge->status == status_ok && challenge->server.starts_with("Seedbed/") &&
                            challenge->body.find_first_not_of(letters_of_challenge) == std::string::npos;
    auto const proven =
        challenged ? authenticated(query, *m_secret, challenge->body, from.address().to_string()) : query;
    return get_from(from, path + "?" + proven, allowed);
}

result<server_link::response> server_link::ask(std::string const& path, std::string const& query,
                                               std::chrono::milliseconds timeout) const {
    auto const addresses = resolve();
    if (!addresses) {
        return tl::unexpected(addresses.error());
    }
    result<response> outcome = tl::unexpected(error{"no address"});
    for (auto const& address : *addresses) {
        outcome = ask_at(address, path, query, {.timeout = timeout});
        if (outcome) {
            break;
        }
    }
    return outcome;
}

} // namespace seedbed
