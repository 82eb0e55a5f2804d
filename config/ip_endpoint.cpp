#include "config/ip_endpoint.hpp"

#include <optional>

#include <arpa/inet.h>

#include "config/error_report.hpp"
#include "config/host_port.hpp"

namespace seedbed {

namespace {

std::optional<ip_address> read_address(std::string_view text, bool v6) {
    if (text.find('\0') != std::string_view::npos) {
        return std::nullopt; // inet_pton(3) would stop there
    }
    ip_address parsed{.v6 = v6};
    auto const read = ::inet_pton(v6 ? AF_INET6 : AF_INET, std::string(text).c_str(), parsed.bytes.data());
    return read == 1 ? std::optional(parsed) : std::nullopt;
}

} // namespace

result<ip_address> parse_ip_address(std::string_view text) {
    auto const parsed = read_address(text, text.find(':') != std::string_view::npos);
    if (!parsed) {
        return tl::unexpected(
            error{in_quotes(text) + " is not a literal address: expected 192.0.2.11 or 2001:db8::11"});
    }
    return *parsed;
}

result<ip_endpoint> parse_ip_endpoint(std::string_view text) {
    auto const [host, port_text] = split_host_port(text);
    auto const v6 = is_bracketed(host);
    auto const address = read_address(v6 ? host.substr(1, host.size() - 2) : host, v6);
    if (!address) {
        return tl::unexpected(error{
            in_quotes(text) + " does not start with a literal address: expected 192.0.2.1:6881 or [2001:db8::1]:6881"});
    }
    auto const port = port_text ? parse_port(*port_text) : std::nullopt;
    if (!port) {
        return tl::unexpected(error{in_quotes(text) + " does not end with a port, 1 to 65535"});
    }
    return ip_endpoint{*address, *port};
}

std::string to_string(ip_address const& address) {
    std::array<char, INET6_ADDRSTRLEN> text{};
    // Cannot fail: the family is known and the buffer is large enough.
    auto const* const written =
        ::inet_ntop(address.v6 ? AF_INET6 : AF_INET, address.bytes.data(), text.data(), text.size());
    return written != nullptr ? written : "";
}

std::string to_string(ip_endpoint const& endpoint) {
    auto const address = to_string(endpoint.address);
    return (endpoint.address.v6 ? "[" + address + "]" : address) + ":" + std::to_string(endpoint.port);
}

std::vector<ip_endpoint> any_address(std::uint16_t port) {
    return {{{.v6 = false}, port}, {{.v6 = true}, port}};
}

} // namespace seedbed
