#pragma once

#include <chrono>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "core/foundation/error.hpp"
#include "daemon/http/http_client.hpp"
#include "daemon/http/http_url.hpp"

namespace seedbed {

// http_client for programs that have nothing else to do meanwhile. Threads: any; the calls block.

/// How long resolve_server() waits for DNS.
inline constexpr std::chrono::seconds resolve_limit{10};

/// The addresses of a server; never empty. The error is the reason, without the server's name.
[[nodiscard]] result<std::vector<boost::asio::ip::tcp::endpoint>> resolve_server(http_authority const& server);

/// One request to one of the server's addresses.
[[nodiscard]] tl::expected<http_client::response, http_client::failure>
fetch(boost::asio::ip::tcp::endpoint const& address, http_authority const& server, std::string const& target,
      http_client::limits const& allowed);

} // namespace seedbed
