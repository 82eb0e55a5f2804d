#include "config/value_formats.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <system_error>

#include "config/error_report.hpp"
#include "config/host_port.hpp"
#include "config/ip_endpoint.hpp"

namespace seedbed {

namespace {

constexpr std::size_t longest_name = 64;
constexpr int largest_share = 90; // percent: the system and the program itself need the rest

struct duration_unit {
    std::string_view name;
    std::chrono::milliseconds length;
};
constexpr std::array<duration_unit, 4> duration_units{{
    {"h", std::chrono::hours(1)},
    {"min", std::chrono::minutes(1)},
    {"s", std::chrono::seconds(1)},
    {"ms", std::chrono::milliseconds(1)},
}};
/// A year: in nanoseconds, the unit of clocks, it fits in 63 bits many times over.
constexpr std::chrono::milliseconds longest_duration = std::chrono::hours(24 * 366);

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_alphanumeric(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

bool is_host(std::string_view host) {
    if (host.starts_with('[')) {
        auto const address = is_bracketed(host) ? host.substr(1, host.size() - 2) : std::string_view();
        return address.find(':') != std::string_view::npos && parse_ip_address(address).has_value();
    }
    return !host.empty() && std::all_of(host.begin(), host.end(),
                                        [](char c) { return is_alphanumeric(c) || c == '.' || c == '-' || c == '_'; });
}

} // namespace

result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    std::int64_t number = 0;
    auto const* const text_end = text.data() + text.size();
    auto const [end, ec] = std::from_chars(text.data(), text_end, number);
    auto name = std::string_view(end, static_cast<std::size_t>(text_end - end));
    if (name.starts_with(' ')) {
        name.remove_prefix(1);
    }
    auto const* const unit = std::ranges::find(duration_units, name, &duration_unit::name);
    if (ec == std::errc::invalid_argument || unit == duration_units.end() || text.front() == '-') {
        return tl::unexpected(error{
            in_quotes(text) + " is not a duration: expected a whole number with ms, s, min or h, such as \"90 s\""});
    }
    if (ec != std::errc{} || number > longest_duration / unit->length) {
        return tl::unexpected(error{in_quotes(text) + " is longer than a year"});
    }
    return number * unit->length;
}

std::string format_duration(std::chrono::milliseconds duration) {
    for (auto const& [name, length] : duration_units) {
        if (duration.count() != 0 && duration % length == std::chrono::milliseconds(0)) {
            return std::to_string(duration / length) + " " + std::string(name);
        }
    }
    return std::to_string(duration.count()) + " ms";
}

result<int> parse_share(std::string_view text) {
    int percent = 0;
    auto const* const text_end = text.data() + text.size();
    auto const [end, ec] = std::from_chars(text.data(), text_end, percent);
    auto const unit = std::string_view(end, static_cast<std::size_t>(text_end - end));
    if (ec == std::errc::invalid_argument || (unit != "%" && unit != " %")) {
        return tl::unexpected(
            error{in_quotes(text) + " is not a share: expected a whole number with %, such as \"25 %\""});
    }
    if (ec != std::errc{} || percent < 1 || percent > largest_share) {
        return tl::unexpected(
            error{in_quotes(text) + " is out of range: 1 % to " + std::to_string(largest_share) + " %"});
    }
    return percent;
}

std::int64_t share_of(std::int64_t bytes, int percent) noexcept {
    constexpr std::int64_t unit = 1LL << 20; // MiB
    return bytes / unit * percent / 100 * unit;
}

std::optional<error> check_tracker_url(std::string_view url) {
    auto const separator = url.find("://");
    auto const scheme = url.substr(0, separator);
    if (separator == std::string_view::npos || (scheme != "http" && scheme != "https" && scheme != "udp")) {
        return error{in_quotes(url) + " is not a tracker: expected a URL with http://, https:// or udp://"};
    }
    if (!std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
        return error{in_quotes(url) + " contains a character that is not allowed in a URL"};
    }
    auto text = url.substr(separator + 3);
    text = text.substr(0, text.find_first_of("/?#"));
    if (auto const at = text.rfind('@'); at != std::string_view::npos) {
        text.remove_prefix(at + 1);
    }
    auto const [host, port] = split_host_port(text);
    if (!is_host(host)) {
        return error{in_quotes(url) + " names no host"};
    }
    if (port ? !parse_port(*port) : scheme == "udp") {
        return error{in_quotes(url) + " has no port, 1 to 65535, after its host"};
    }
    return std::nullopt;
}

std::optional<error> check_name_of_image(std::string_view name) {
    auto const allowed = [](char c) { return is_alphanumeric(c) || c == '.' || c == '_' || c == '-'; };
    if (name.empty() || name.size() > longest_name || !std::all_of(name.begin(), name.end(), allowed)) {
        return error{in_quotes(name) + " is not a name: expected 1 to " + std::to_string(longest_name) +
                     " characters of A-Z a-z 0-9 . _ -"};
    }
    if (name == "." || name == "..") {
        return error{in_quotes(name) + " is not a name: it means a folder"};
    }
    return std::nullopt;
}

} // namespace seedbed
