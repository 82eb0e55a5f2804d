#include "daemon/http/http_fetch.hpp"

#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/address.hpp>
#include <boost/asio/steady_timer.hpp>

#include "daemon/http/host_resolver.hpp"

namespace seedbed {

namespace asio = boost::asio;
using boost::system::error_code;

result<std::vector<asio::ip::tcp::endpoint>> resolve_server(http_authority const& server) {
    error_code ec;
    if (auto const literal = asio::ip::make_address(server.host, ec); !ec) {
        return std::vector{asio::ip::tcp::endpoint(literal, server.port)};
    }
    asio::io_context context{1};
    asio::steady_timer limit(context, resolve_limit); // keeps the context running
    host_resolver resolver(context);
    host_resolver::endpoints addresses;
    std::string reason = "no answer within " + std::to_string(resolve_limit.count()) + " s";
    resolver.resolve(server.host, server.port, [&](error_code const& failed, auto const& found) {
        addresses = found;
        reason = failed ? failed.message() : "it has no address";
        limit.cancel();
    });
    limit.async_wait([](error_code const&) {});
    context.run();
    return addresses.empty() ? tl::unexpected(error{reason}) : result<host_resolver::endpoints>(std::move(addresses));
}

tl::expected<http_client::response, http_client::failure> fetch(asio::ip::tcp::endpoint const& address,
                                                                http_authority const& server, std::string const& target,
                                                                http_client::limits const& allowed) {
    asio::io_context context{1};
    http_client client(context);
    tl::expected<http_client::response, http_client::failure> outcome = tl::unexpected(http_client::failure{});
    client.get(http_endpoint(address), {target, server.text()}, allowed,
               [&outcome](auto got) { outcome = std::move(got); });
    context.run();
    return outcome;
}

} // namespace seedbed
