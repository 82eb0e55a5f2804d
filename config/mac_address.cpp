#include "config/mac_address.hpp"

#include <cstddef>

#include "config/error_report.hpp"

namespace seedbed {

namespace {

constexpr std::size_t mac_digits = 12;

/// The digits in lower case; empty if the text has another form.
std::string digits_of_mac(std::string_view text) {
    auto const separated = text.size() == mac_digits + 5;
    std::string digits;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto const c = text[i];
        if (separated && i % 3 == 2) {
            if ((c != ':' && c != '-') || c != text[2]) {
                return {};
            }
        } else if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) {
            digits += c;
        } else if (c >= 'A' && c <= 'F') {
            digits += static_cast<char>(c - 'A' + 'a');
        } else {
            return {};
        }
    }
    return digits.size() == mac_digits ? digits : std::string();
}

} // namespace

result<std::string> parse_mac_address(std::string_view text) {
    auto const digits = digits_of_mac(text);
    if (digits.empty()) {
        return tl::unexpected(error{in_quotes(text) + " is not a MAC address: expected 52:54:00:12:34:56"});
    }
    constexpr std::string_view odd = "13579bdf";
    if (digits.find_first_not_of('0') == std::string::npos || odd.find(digits[1]) != std::string_view::npos) {
        return tl::unexpected(error{in_quotes(text) + " is not the MAC address of one network card"});
    }
    std::string mac;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
        mac += (mac.empty() ? "" : ":") + digits.substr(i, 2);
    }
    return mac;
}

} // namespace seedbed
