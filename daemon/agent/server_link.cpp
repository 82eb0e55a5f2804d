#include "daemon/agent/server_link.hpp"

#include <cstdint>
#include <string_view>
#include <utility>

#include "daemon/fleet/host_report.hpp"
#include "daemon/http/http_fetch.hpp"

namespace seedbed {

namespace {

using boost::asio::ip::tcp;

constexpr std::uint16_t server_port = 6969; ///< of its tracker
constexpr unsigned status_ok = 200;
constexpr char const* letters_of_challenge = "0123456789abcdefghijklmnopqrstuvwxyz";

} // namespace

result<http_authority> parse_server_url(std::string const& text) {
    std::string_view rest = text;
    constexpr std::string_view scheme = "http://";
    if (rest.starts_with(scheme)) {
        rest.remove_prefix(scheme.size());
    }
    if (rest.ends_with('/')) {
        rest.remove_suffix(1);
    }
    auto server = parse_authority(rest, server_port);
    return server ? result<http_authority>(std::move(*server))
                  : tl::unexpected(error{"'" + text + "' is not a server: expected http://HOST:PORT"});
}

server_link::server_link(http_authority server, std::shared_ptr<shared_secret const> secret)
    : m_server(std::move(server))
    , m_secret(std::move(secret)) {}

result<server_link::response> server_link::at_each_address(attempt const& from) const {
    auto const addresses = resolve_server(m_server);
    if (!addresses) {
        return tl::unexpected(addresses.error());
    }
    result<response> outcome = tl::unexpected(error{"no address"});
    for (auto const& address : *addresses) {
        outcome = from(address);
        if (outcome) {
            break;
        }
    }
    return outcome;
}

result<server_link::response> server_link::get_from(tcp::endpoint const& from, std::string const& target,
                                                    http_client::limits const& allowed) const {
    return fetch(from, m_server, target, allowed).map_error([](auto const& failed) { return error{failed.reason}; });
}

result<server_link::response> server_link::get(std::string const& target, http_client::limits const& allowed) const {
    return at_each_address([&](tcp::endpoint const& from) { return get_from(from, target, allowed); });
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
    return at_each_address([&](tcp::endpoint const& from) { return ask_at(from, path, query, {.timeout = timeout}); });
}

} // namespace seedbed
