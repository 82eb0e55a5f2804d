#include "config/settings.hpp"

#include <tuple>

namespace seedbed {

namespace {

/// Everything of an image that its comparison looks at: each new field belongs here.
auto compared(image_settings const& image) {
    return std::tie(image.name, image.torrent, image.device, image.mode, image.profile, image.peers, image.trackers,
                    image.serial, image.size, image.allow_mounted, image.verify);
}

} // namespace

char const* to_string(image_mode mode) noexcept {
    switch (mode) {
    case image_mode::seed:
        return "seed";
    case image_mode::deploy:
        return "deploy";
    }
    return "unknown";
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

bool operator==(image_settings const& a, image_settings const& b) {
    return compared(a) == compared(b);
}

std::vector<std::string> unchangeable_differences(settings const& running, settings const& wanted) {
    std::vector<std::string> keys;
    if (running.memory.pool != wanted.memory.pool) {
        keys.emplace_back("memory.pool");
    }
    return keys;
}

} // namespace seedbed
