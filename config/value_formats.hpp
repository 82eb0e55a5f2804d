#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Reads a whole number with the unit ms, s, min or h, with or without a space: "500 ms", "90s", "3 min". At most a
/// year. For the configuration and the command line alike.
[[nodiscard]] result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// In the largest unit in which it is a whole number: "50 ms", "90 s", "1 h".
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

/// Why \p url is no announce URL (http, https, or udp with a port), or nothing.
[[nodiscard]] std::optional<error> check_tracker_url(std::string_view url);

/// Why \p name cannot name an image, or nothing.
[[nodiscard]] std::optional<error> check_name_of_image(std::string_view name);

} // namespace seedbed
