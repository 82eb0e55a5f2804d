#include "config/settings.hpp"

#include <algorithm>
#include <array>

namespace seedbed {

char const* to_string(image_mode mode) noexcept {
    switch (mode) {
    case image_mode::seed:
        return "seed";
    case image_mode::deploy:
        return "deploy";
    }
    return "unknown";
}

char const* to_string(source_check check) noexcept {
    switch (check) {
    case source_check::lazy:
        return "lazy";
    case source_check::full:
        return "full";
    case source_check::none:
        return "none";
    }
    return "unknown";
}

char const* to_string(target_check check) noexcept {
    switch (check) {
    case target_check::resume:
        return "resume";
    case target_check::full:
        return "full";
    case target_check::none:
        return "none";
    }
    return "unknown";
}

char const* to_string(after_deploy action) noexcept {
    switch (action) {
    case after_deploy::reboot:
        return "reboot";
    case after_deploy::poweroff:
        return "poweroff";
    case after_deploy::wait:
        return "wait";
    }
    return "unknown";
}

std::optional<after_deploy> parse_after_deploy(std::string_view text) noexcept {
    constexpr std::array all{after_deploy::reboot, after_deploy::poweroff, after_deploy::wait};
    auto const* const found =
        std::ranges::find(all, text, [](auto each) -> std::string_view { return to_string(each); });
    return found != all.end() ? std::optional(*found) : std::nullopt;
}

char const* to_string(log_level level) noexcept {
    switch (level) {
    case log_level::error:
        return "error";
    case log_level::warning:
        return "warning";
    case log_level::info:
        return "info";
    case log_level::debug:
        return "debug";
    case log_level::trace:
        return "trace";
    }
    return "unknown";
}

} // namespace seedbed
