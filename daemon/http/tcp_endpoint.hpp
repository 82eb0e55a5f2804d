#pragma once

#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "config/ip_endpoint.hpp"

namespace seedbed {

// The configuration's addresses, for Asio.

[[nodiscard]] boost::asio::ip::tcp::endpoint to_tcp_endpoint(ip_endpoint const& endpoint);
[[nodiscard]] std::vector<boost::asio::ip::tcp::endpoint> to_tcp_endpoints(std::vector<ip_endpoint> const& endpoints);

/// Drops the scope of a link-local address, because the configuration has none.
[[nodiscard]] ip_address to_ip_address(boost::asio::ip::address const& address);

} // namespace seedbed
