#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/format_count.hpp"

namespace seedbed {

// How the program formats a quantity in a log line, in a status table, in progress and on standard output. Sizes are
// formatted by format_byte_size(), counts by format_count(), which core needs as well. ASCII: one byte is one column.
// Pure.

/// A rate in the format of a size: "512 MiB/s", "9.8 MiB/s", "0 B/s". \p bytes moved in \p seconds; less than a
/// millisecond counts as one, a negative number of bytes as 0.
[[nodiscard]] std::string format_rate(std::int64_t bytes, double seconds = 1);

/// Below ten seconds with one decimal unless whole ("0.3s", "4s"), otherwise in the two largest units: "45s", "3m20s",
/// "2h05m", "3d04h". Negative or NaN: "0s".
[[nodiscard]] std::string format_duration(double seconds);
[[nodiscard]] std::string format_duration(std::chrono::duration<double> time);

/// A share, 0 to 1, rounded down: "43%", with \p decimals "98.6%". Never 100% while \p fraction is below 1. Values out
/// of range are clamped; NaN is 0.
[[nodiscard]] std::string format_percent(double fraction, int decimals = 0);

} // namespace seedbed
