#include "config/ip_network.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include "config/error_report.hpp"

namespace seedbed {

namespace {

int bits_of(ip_address const& address) {
    return address.v6 ? 128 : 32;
}

/// The bits of the byte at \p index that follow a prefix of \p prefix bits.
std::uint8_t host_bits(int prefix, std::size_t index) {
    auto const inside = std::clamp(prefix - 8 * static_cast<int>(index), 0, 8);
    return static_cast<std::uint8_t>(0xff >> inside);
}

ip_address with_host_bits(ip_address address, int prefix, bool value) {
    auto const size = static_cast<std::size_t>(bits_of(address) / 8);
    for (std::size_t i = 0; i < size; ++i) {
        auto const bits = host_bits(prefix, i);
        address.bytes[i] = static_cast<std::uint8_t>(value ? address.bytes[i] | bits
                                                           : address.bytes[i] & ~static_cast<unsigned>(bits));
    }
    return address;
}

} // namespace

ip_address ip_network::last() const noexcept {
    return with_host_bits(first, prefix, true);
}

bool ip_network::contains(ip_address const& address) const noexcept {
    return address.v6 == first.v6 && with_host_bits(address, prefix, false) == first;
}

result<ip_network> parse_ip_network(std::string_view text) {
    auto const slash = text.find('/');
    auto const address = parse_ip_address(text.substr(0, slash));
    auto const refuse = [&text](std::string const& why) { return tl::unexpected(error{in_quotes(text) + why}); };
    if (!address) {
        return refuse(" is not a network: expected 10.1.0.0/16 or 2001:db8::/32");
    }
    ip_network parsed{*address, bits_of(*address)};
    if (slash != std::string_view::npos) {
        auto const digits = text.substr(slash + 1);
        auto const [end, ec] = std::from_chars(digits.data(), digits.data() + digits.size(), parsed.prefix);
        if (ec != std::errc{} || end != digits.data() + digits.size() || parsed.prefix < 0 ||
            parsed.prefix > bits_of(*address)) {
            return refuse(" does not end with a prefix length, 0 to " + std::to_string(bits_of(*address)));
        }
    }
    parsed.first = with_host_bits(*address, parsed.prefix, false);
    if (parsed.first != *address) {
        return refuse(" has bits after the prefix: expected " + to_string(parsed));
    }
    return parsed;
}

std::string to_string(ip_network const& network) {
    auto text = to_string(network.first);
    return network.prefix == bits_of(network.first) ? text : text + "/" + std::to_string(network.prefix);
}

bool is_allowed(std::vector<ip_network> const& allowed, ip_address const& address) {
    auto const has = [&address](ip_network const& each) { return each.contains(address); };
    return allowed.empty() || std::ranges::any_of(allowed, has) || std::ranges::any_of(loopback_networks(), has);
}

std::vector<ip_network> const& loopback_networks() {
    static std::vector<ip_network> const networks{parse_ip_network("127.0.0.0/8").value(),
                                                  parse_ip_network("::1").value()};
    return networks;
}

} // namespace seedbed
