#include "daemon/text/quantity_text.hpp"

#include <algorithm>
#include <cmath>

#include <spdlog/fmt/fmt.h>

namespace seedbed {

std::string format_rate(std::int64_t bytes, double seconds) {
    constexpr double most = 0x1p62; // fits an integer of 64 bits
    auto const moved = static_cast<double>(std::max<std::int64_t>(bytes, 0));
    auto const per_second = std::min(std::round(moved / std::max(seconds, 1e-3)), most);
    return format_byte_size(static_cast<std::int64_t>(per_second)) + "/s";
}

std::string format_duration(double seconds) {
    if (!(seconds > 0)) {
        return "0s";
    }
    if (auto const tenths = std::round(std::min(seconds, 10.0) * 10); tenths < 100) {
        return fmt::format("{:.{}f}s", tenths / 10, std::fmod(tenths, 10) == 0 ? 0 : 1);
    }
    auto const whole = std::llround(std::min(seconds, 1e12));
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

std::string format_duration(std::chrono::duration<double> time) {
    return format_duration(time.count());
}

std::string format_percent(double fraction, int decimals) {
    if (!(fraction > 0)) {
        fraction = 0;
    }
    auto const scale = std::pow(10, decimals);
    // 0.29 * 100 is a little less than 29 in binary.
    auto const steps = std::floor(std::min(fraction, 1.0) * 100 * scale + 1e-6);
    auto const shown = fraction < 1 ? std::min(steps, 100 * scale - 1) : 100 * scale;
    return fmt::format("{:.{}f}%", shown / scale, decimals);
}

} // namespace seedbed
