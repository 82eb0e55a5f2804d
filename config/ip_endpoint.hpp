#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/foundation/error.hpp"

namespace seedbed {

/// A literal IP address without a scope. All spellings of one address are equal.
struct ip_address {
    bool v6 = false;
    std::array<std::uint8_t, 16> bytes{}; ///< network order; IPv4 uses the first 4
    friend auto operator<=>(ip_address const&, ip_address const&) = default;

    /// Whether it means every address of the machine: 0.0.0.0 or ::.
    [[nodiscard]] bool is_any() const noexcept { return bytes == decltype(bytes){}; }
};

/// An address and a port.
struct ip_endpoint {
    ip_address address;
    std::uint16_t port = 0;
    friend auto operator<=>(ip_endpoint const&, ip_endpoint const&) = default;
};

/// Parses "192.0.2.1" or "2001:db8::1": no name, no brackets, no scope.
[[nodiscard]] result<ip_address> parse_ip_address(std::string_view text);
/// Parses "192.0.2.1:6881" or "[2001:db8::1]:6881": no name, no scope, port 1 to 65535.
[[nodiscard]] result<ip_endpoint> parse_ip_endpoint(std::string_view text);

/// As inet_ntop(3) writes it: "192.0.2.1", "2001:db8::1".
[[nodiscard]] std::string to_string(ip_address const& address);
/// "192.0.2.1:6881", "[2001:db8::1]:6881".
[[nodiscard]] std::string to_string(ip_endpoint const& endpoint);

/// Every address of the machine: 0.0.0.0 and ::, both with \p port.
[[nodiscard]] std::vector<ip_endpoint> any_address(std::uint16_t port);

} // namespace seedbed
