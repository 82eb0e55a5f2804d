#include "daemon/text/utc_time.hpp"

#include <array>
#include <ctime>

namespace seedbed {

namespace {

constexpr char const* rfc3339 = "%Y-%m-%dT%H:%M:%SZ";

} // namespace

std::string format_utc(std::chrono::system_clock::time_point time) {
    auto const seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    std::array<char, 32> text{};
    if (::gmtime_r(&seconds, &parts) == nullptr || std::strftime(text.data(), text.size(), rfc3339, &parts) == 0) {
        return {};
    }
    return text.data();
}

std::optional<std::chrono::system_clock::time_point> parse_utc(std::string const& text) {
    std::tm parts{};
    auto const* const end = ::strptime(text.c_str(), rfc3339, &parts);
    return end == text.c_str() + text.size() ? std::optional(std::chrono::system_clock::from_time_t(::timegm(&parts)))
                                             : std::nullopt;
}

} // namespace seedbed
