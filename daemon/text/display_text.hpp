#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed {

// Short texts for terminals: ASCII, so that a byte is a column everywhere. Pure.

/// At most 7 characters: "17 B", "9.8 MiB", "512 KiB", "1.2 TiB".
[[nodiscard]] std::string short_size(std::int64_t bytes);
/// At most 9 characters: "98 MiB/s"; "-" for none.
[[nodiscard]] std::string short_rate(std::int64_t bytes_per_second);
/// At most 6 characters below 100 days: "4s", "3m20s", "2h05m", "3d04h".
[[nodiscard]] std::string short_duration(double seconds);
/// "43 %"; never 100 before all is done.
[[nodiscard]] std::string short_percent(double fraction);
/// "[####......]" of \p width characters, brackets included; at least 3.
[[nodiscard]] std::string progress_bar(double fraction, std::size_t width);

/// \p text where it fits, else its beginning and its end: "/dev/..part1".
[[nodiscard]] std::string shorten(std::string_view text, std::size_t width);
/// Broken between words into lines of at most \p width, all but the first of them indented by two spaces; 0: one line.
[[nodiscard]] std::vector<std::string> wrap(std::string const& text, std::size_t width);

} // namespace seedbed
