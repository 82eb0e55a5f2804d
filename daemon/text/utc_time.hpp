#pragma once

#include <chrono>
#include <optional>
#include <string>

namespace seedbed {

/// A UTC time in the format of RFC 3339, to the second: "2026-01-31T12:00:00Z". Empty if the year does not fit the
/// format.
[[nodiscard]] std::string format_utc(std::chrono::system_clock::time_point time);
/// Parses the output of format_utc(); nothing for any other text.
[[nodiscard]] std::optional<std::chrono::system_clock::time_point> parse_utc(std::string const& text);

} // namespace seedbed
