#include "core/foundation/byte_size.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <utility>

namespace seedbed {

namespace {

constexpr std::array<std::pair<std::string_view, int>, 5> units{{
    {"TiB", 40},
    {"GiB", 30},
    {"MiB", 20},
    {"KiB", 10},
    {"B", 0},
}};

error bad_size(std::string_view text) {
    return error{"'" + std::string(text) + "' is not a size: expected bytes or a number with KiB, MiB, GiB or TiB"};
}

error too_great(std::string_view text) {
    return error{"'" + std::string(text) + "' does not fit in 63 bits"};
}

} // namespace

result<std::int64_t> parse_byte_size(std::string_view text) {
    std::int64_t number = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (ec == std::errc::result_out_of_range && text.front() != '-') {
        return tl::unexpected(too_great(text));
    }
    if (ec != std::errc{} || text.front() == '-') {
        return tl::unexpected(bad_size(text));
    }
    auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
    if (unit.empty()) {
        return number;
    }
    if (unit.front() == ' ') {
        unit.remove_prefix(1);
    }
    for (auto const& [name, shift] : units) {
        if (unit == name) {
            if (number > (std::numeric_limits<std::int64_t>::max() >> shift)) {
                return tl::unexpected(too_great(text));
            }
            return number << shift;
        }
    }
    return tl::unexpected(bad_size(text));
}

std::string format_byte_size(std::int64_t bytes) {
    std::string_view larger;
    for (auto const& [name, shift] : units) {
        auto const unit = std::int64_t{1} << shift;
        if (bytes >= unit && bytes % unit != 0) {
            auto const value = static_cast<double>(bytes) / static_cast<double>(unit);
            auto const whole = std::llround(value);
            auto const tenths = std::llround(value * 10);
            if (whole == 1024 && !larger.empty()) {
                return "1.0 " + std::string(larger);
            }
            auto const number =
                tenths < 100 ? std::to_string(tenths / 10) + '.' + std::to_string(tenths % 10) : std::to_string(whole);
            return number + ' ' + std::string(name);
        }
        if (bytes >= unit) {
            return std::to_string(bytes / unit) + ' ' + std::string(name);
        }
        larger = name;
    }
    return std::to_string(bytes) + " B";
}

} // namespace seedbed
