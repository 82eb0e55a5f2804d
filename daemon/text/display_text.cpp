#include "daemon/text/display_text.hpp"

#include <algorithm>

namespace seedbed {

std::string progress_bar(double fraction, std::size_t width) {
    auto const inner = std::max<std::size_t>(width, 3) - 2;
    auto const full = static_cast<std::size_t>(std::clamp(fraction, 0.0, 1.0) * static_cast<double>(inner));
    return "[" + std::string(full, '#') + std::string(inner - full, '.') + "]";
}

std::string shorten(std::string_view text, std::size_t width) {
    constexpr std::string_view gap = "..";
    if (text.size() <= width) {
        return std::string(text);
    }
    if (width <= gap.size()) {
        return std::string(text.substr(0, width));
    }
    auto const kept = width - gap.size();
    auto const tail = kept / 2;
    return std::string(text.substr(0, kept - tail)) + std::string(gap) + std::string(text.substr(text.size() - tail));
}

std::vector<std::string> wrap(std::string const& text, std::size_t width) {
    if (width == 0 || text.size() <= width) {
        return {text};
    }
    std::vector<std::string> lines;
    std::string_view left = text;
    std::string indent;
    while (!left.empty()) {
        auto const room = std::max(width, indent.size() + 1) - indent.size();
        auto taken = left.size();
        if (taken > room) {
            auto const space = left.rfind(' ', room);
            taken = space == std::string_view::npos || space == 0 ? room : space;
        }
        lines.push_back(indent + std::string(left.substr(0, taken)));
        left.remove_prefix(taken);
        left.remove_prefix(std::min(left.find_first_not_of(' '), left.size()));
        indent = "  ";
    }
    return lines;
}

} // namespace seedbed
