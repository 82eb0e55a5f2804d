#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/ip_endpoint.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// The addresses that share their first bits (CIDR, RFC 4632).
struct ip_network {
    ip_address first; ///< the bits after the prefix are 0
    int prefix = 0;   ///< bits, 0 to 32 or 128
    friend auto operator<=>(ip_network const&, ip_network const&) = default;

    [[nodiscard]] ip_address last() const noexcept;
    [[nodiscard]] bool contains(ip_address const& address) const noexcept;
};

/// Parses "10.1.0.0/16", "2001:db8::/32", or a single address.
[[nodiscard]] result<ip_network> parse_ip_network(std::string_view text);
/// "10.1.0.0/16"; a single address has no prefix length.
[[nodiscard]] std::string to_string(ip_network const& network);

/// Whether \p address may take part: \p allowed is empty or contains it, or it is the machine itself (127.0.0.0/8,
/// ::1).
[[nodiscard]] bool is_allowed(std::vector<ip_network> const& allowed, ip_address const& address);

/// 127.0.0.0/8 and ::1.
[[nodiscard]] std::vector<ip_network> const& loopback_networks();

} // namespace seedbed
