#include "daemon/http/tcp_endpoint.hpp"

#include <algorithm>
#include <iterator>

namespace seedbed {

using boost::asio::ip::tcp;

tcp::endpoint to_tcp_endpoint(ip_endpoint const& endpoint) {
    auto const& [v6, bytes] = endpoint.address;
    if (v6) {
        return {boost::asio::ip::address_v6(bytes), endpoint.port};
    }
    boost::asio::ip::address_v4::bytes_type first{};
    std::copy_n(bytes.begin(), first.size(), first.begin());
    return {boost::asio::ip::address_v4(first), endpoint.port};
}

std::vector<tcp::endpoint> to_tcp_endpoints(std::vector<ip_endpoint> const& endpoints) {
    std::vector<tcp::endpoint> converted;
    std::ranges::transform(endpoints, std::back_inserter(converted), to_tcp_endpoint);
    return converted;
}

ip_address to_ip_address(boost::asio::ip::address const& address) {
    ip_address converted{.v6 = address.is_v6()};
    if (address.is_v6()) {
        converted.bytes = address.to_v6().to_bytes();
    } else {
        std::ranges::copy(address.to_v4().to_bytes(), converted.bytes.begin());
    }
    return converted;
}

} // namespace seedbed
