#include "daemon/text/display_text.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include <spdlog/fmt/fmt.h>

namespace seedbed {

std::string short_size(std::int64_t bytes) {
    constexpr std::array units{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    auto value = static_cast<double>(std::max<std::int64_t>(bytes, 0));
    std::size_t unit = 0;
    while (value >= 999.5 && unit + 1 < units.size()) { // so that three digits do
        value /= 1024;
        ++unit;
    }
    return unit > 0 && value < 9.95 ? fmt::format("{:.1f} {}", value, units.at(unit))
                                    : fmt::format("{:.0f} {}", value, units.at(unit));
}

std::string short_rate(std::int64_t bytes_per_second) {
    return bytes_per_second > 0 ? short_size(bytes_per_second) + "/s" : "-";
}

std::string short_duration(double seconds) {
    auto const whole = static_cast<std::int64_t>(std::llround(std::clamp(seconds, 0.0, 1e12)));
    if (whole < 60) {
        return fmt::format("{}s", whole);
    }
    if (whole < 3600) {
        return fmt::format("{}m{:02}s", whole / 60, whole % 60);
    }
    if (whole < 86'400) {
        return fmt::format("{}h{:02}m", whole / 3600, whole % 3600 / 60);
    }
    return fmt::format("{}d{:02}h", whole / 86'400, whole % 86'400 / 3600);
}

std::string short_percent(double fraction) {
    return fmt::format("{} %", static_cast<int>(std::clamp(fraction, 0.0, 1.0) * 100));
}

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
