#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>

#include <spdlog/fmt/fmt.h>

namespace seedbed {

// Quantities in an image's log lines. Pure.

/// "512.0 MiB/s". Less than a millisecond counts as one.
[[nodiscard]] inline std::string rate_text(std::int64_t bytes, double seconds = 1) {
    return fmt::format("{:.1f} MiB/s", static_cast<double>(bytes) / std::max(seconds, 1e-3) / (1 << 20));
}

/// "3.4 s".
[[nodiscard]] inline std::string seconds_text(double seconds) {
    return fmt::format("{:.1f} s", seconds);
}

/// "4 s", "3 min 20 s", "2 h 5 min".
[[nodiscard]] inline std::string duration_text(double seconds) {
    auto const whole = static_cast<std::int64_t>(std::llround(seconds));
    if (whole < 60) {
        return fmt::format("{} s", whole);
    }
    if (whole < 3600) {
        return fmt::format("{} min {} s", whole / 60, whole % 60);
    }
    return fmt::format("{} h {} min", whole / 3600, whole % 3600 / 60);
}

/// "43%", rounded down: never 100% before the end.
[[nodiscard]] inline std::string percent_text(double fraction) {
    return fmt::format("{}%", static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 100));
}

/// "1 extent", "3 peers".
[[nodiscard]] inline std::string count_text(std::integral auto count, std::string_view noun) {
    return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

} // namespace seedbed
