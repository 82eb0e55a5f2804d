#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed {

// Text for terminals: ASCII, so that one byte is one column. Pure.

/// "[####......]" of \p width characters, brackets included; at least 3.
[[nodiscard]] std::string progress_bar(double fraction, std::size_t width);

/// \p text if it fits, otherwise its beginning and its end: "/dev/..part1".
[[nodiscard]] std::string shorten(std::string_view text, std::size_t width);
/// Breaks \p text between words into lines of at most \p width characters; all but the first are indented by two
/// spaces. A \p width of 0 means no limit.
[[nodiscard]] std::vector<std::string> wrap(std::string const& text, std::size_t width);

} // namespace seedbed
