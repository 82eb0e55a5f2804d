#pragma once

#include <string>
#include <string_view>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Parses the MAC address of a network card: six pairs of hex digits, separated by colons or hyphens, or without a
/// separator. Refuses addresses that no card has: all zeros and group addresses (IEEE 802, first octet odd).
/// \return "52:54:00:12:34:ab". The error quotes the text.
[[nodiscard]] result<std::string> parse_mac_address(std::string_view text);

} // namespace seedbed
