#include "daemon/http/tcp_endpoint.hpp"

#include <algorithm>

#include "config/value_formats.hpp"

namespace seedbed {

using boost::asio::ip::tcp;

std::optional<tcp::endpoint> to_tcp_endpoint(std::string const& text) {
    auto const parsed = parse_endpoint(text);
    if (!parsed) {
        return std::nullopt;
    }
    if (parsed->v6) {
        return tcp::endpoint(boost::asio::ip::address_v6(parsed->address), parsed->port);
    }
    boost::asio::ip::address_v4::bytes_type bytes{};
    std::copy_n(parsed->address.begin(), bytes.size(), bytes.begin());
    return tcp::endpoint(boost::asio::ip::address_v4(bytes), parsed->port);
}

std::vector<tcp::endpoint> to_tcp_endpoints(std::vector<std::string> const& texts) {
    std::vector<tcp::endpoint> endpoints;
    for (auto const& text : texts) {
        if (auto const endpoint = to_tcp_endpoint(text)) {
            endpoints.push_back(*endpoint);
        }
    }
    return endpoints;
}

} // namespace seedbed
