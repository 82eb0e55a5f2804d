#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Parses a whole number with the unit ms, s, min or h, with or without a space: "500 ms", "90s", "3 min". At most a
/// year. Used for the configuration and the command line.
[[nodiscard]] result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// Formats a duration in the largest unit in which it is a whole number: "50 ms", "90 s", "1 h".
[[nodiscard]] std::string format_duration(std::chrono::milliseconds duration);

/// Parses a share of the memory: a whole number from 1 to 90 and "%", with or without a space: "25 %". \return percent.
[[nodiscard]] result<int> parse_share(std::string_view text);

/// So many percent of \p bytes, in whole MiB, rounded down. \param percent 1 to 100.
[[nodiscard]] std::int64_t share_of(std::int64_t bytes, int percent) noexcept;

/// Why \p url is not a valid announce URL (http, https, or udp with a port), or nothing.
[[nodiscard]] std::optional<error> check_tracker_url(std::string_view url);

/// Why \p name is not a valid image name, or nothing.
[[nodiscard]] std::optional<error> check_name_of_image(std::string_view name);

} // namespace seedbed
