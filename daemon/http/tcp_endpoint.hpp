#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace seedbed {

/// What parse_endpoint() of the configuration reads, for Asio; nothing for what it refuses.
[[nodiscard]] std::optional<boost::asio::ip::tcp::endpoint> to_tcp_endpoint(std::string const& text);
/// Those of them that are endpoints.
[[nodiscard]] std::vector<boost::asio::ip::tcp::endpoint> to_tcp_endpoints(std::vector<std::string> const& texts);

} // namespace seedbed
