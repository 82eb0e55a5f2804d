#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"

namespace seedbed {

/// A literal address and a port, in a form in which all spellings of the same endpoint are equal.
struct endpoint {
    bool v6 = false;
    std::array<std::uint8_t, 16> address{}; ///< network order; IPv4 uses the first 4
    std::uint16_t port = 0;
    friend auto operator<=>(endpoint const&, endpoint const&) = default;
};

/// Reads "192.0.2.1:6881" or "[2001:db8::1]:6881": no names, no scope, port 1 to 65535.
[[nodiscard]] result<endpoint> parse_endpoint(std::string_view text);

/// Reads a literal address without brackets. \return it as inet_ntop(3) writes it: all spellings are equal.
[[nodiscard]] result<std::string> parse_host_address(std::string_view text);

/// Reads a whole number with the unit ms or s, with or without a space: "100 ms", "1s".
[[nodiscard]] result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// "100 ms", or seconds where they are whole: "10 s".
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

/// Why \p url is no announce URL (http, https, or udp with a port); nothing if it is one.
[[nodiscard]] std::optional<error> check_tracker_url(std::string_view url);

/// Why \p name cannot name an image; nothing if it can.
[[nodiscard]] std::optional<error> check_name_of_image(std::string_view name);

} // namespace seedbed
