#pragma once

#include <cstdint>
#include <string>

namespace seedbed {

/// How a terminal shows a line. A colour never says more than the line's text.
enum class line_style : std::uint8_t { plain, heading, bad, warning, good };

/// A line of a screen.
struct styled_line {
    std::string text; ///< printable ASCII
    line_style style = line_style::plain;

    friend bool operator==(styled_line const&, styled_line const&) = default;
};

} // namespace seedbed
