#pragma once

#include <chrono>
#include <string>

namespace seedbed {

/// A moment as RFC 3339 writes it, to the second: "2026-01-31T12:00:00Z".
[[nodiscard]] std::string utc_text(std::chrono::system_clock::time_point time);

} // namespace seedbed
