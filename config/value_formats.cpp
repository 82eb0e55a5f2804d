#include "config/value_formats.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

#include <arpa/inet.h>

#include "config/error_report.hpp"

namespace seedbed {

namespace {

constexpr std::size_t longest_name = 64;

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_alphanumeric(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc{} || end != text.data() + text.size() || text.front() == '0') {
        return std::nullopt;
    }
    return port;
}

/// inet_pton stops at a NUL, so a text that holds one must not reach it.
bool parse_address(std::string_view text, endpoint& into) {
    if (text.find('\0') != std::string_view::npos) {
        return false;
    }
    return ::inet_pton(into.v6 ? AF_INET6 : AF_INET, std::string(text).c_str(), into.address.data()) == 1;
}

/// Splits "HOST", "HOST:PORT", "[V6]" or "[V6]:PORT". The host keeps its brackets; a port is nothing if there is no
/// colon after the host.
struct authority {
    std::string_view host;
    std::optional<std::string_view> port;
};

authority split_authority(std::string_view text) {
    auto const host_end = text.starts_with('[') ? text.find(']') : 0;
    auto const colon = host_end == std::string_view::npos ? host_end : text.find(':', host_end);
    if (colon == std::string_view::npos) {
        return {text, std::nullopt};
    }
    return {text.substr(0, colon), text.substr(colon + 1)};
}

bool is_bracketed(std::string_view host) {
    return host.size() >= 2 && host.front() == '[' && host.back() == ']';
}

bool is_host(std::string_view host) {
    if (host.starts_with('[')) {
        endpoint ignored{.v6 = true};
        return is_bracketed(host) && parse_address(host.substr(1, host.size() - 2), ignored);
    }
    return !host.empty() && std::all_of(host.begin(), host.end(),
                                        [](char c) { return is_alphanumeric(c) || c == '.' || c == '-' || c == '_'; });
}

} // namespace

result<endpoint> parse_endpoint(std::string_view text) {
    auto const [host, port_text] = split_authority(text);
    endpoint parsed{.v6 = is_bracketed(host)};
    auto const address = parsed.v6 ? host.substr(1, host.size() - 2) : host;
    if (!parse_address(address, parsed)) {
        return tl::unexpected(error{
            in_quotes(text) + " does not start with a literal address: expected 192.0.2.1:6881 or [2001:db8::1]:6881"});
    }
    auto const port = port_text ? parse_port(*port_text) : std::nullopt;
    if (!port) {
        return tl::unexpected(error{in_quotes(text) + " does not end with a port, 1 to 65535"});
    }
    parsed.port = *port;
    return parsed;
}

result<std::string> parse_host_address(std::string_view text) {
    endpoint parsed{.v6 = text.find(':') != std::string_view::npos};
    std::array<char, INET6_ADDRSTRLEN> written{};
    if (!parse_address(text, parsed) ||
        ::inet_ntop(parsed.v6 ? AF_INET6 : AF_INET, parsed.address.data(), written.data(), written.size()) == nullptr) {
        return tl::unexpected(
            error{in_quotes(text) + " is not a literal address: expected 192.0.2.11 or 2001:db8::11"});
    }
    return std::string(written.data());
}

result<std::chrono::milliseconds> parse_duration(std::string_view text) {
    std::int64_t number = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), number);
    auto unit = text.substr(static_cast<std::size_t>(end - text.data()));
    if (unit.starts_with(' ')) {
        unit.remove_prefix(1);
    }
    auto const factor = unit == "ms" ? 1 : unit == "s" ? 1'000 : 0;
    if (ec != std::errc{} || factor == 0 || text.front() == '-' ||
        number > std::numeric_limits<std::int64_t>::max() / factor) {
        return tl::unexpected(
            error{in_quotes(text) + " is not a duration: expected milliseconds, \"100 ms\" or \"1 s\""});
    }
    return std::chrono::milliseconds(number * factor);
}

std::string format_duration(std::chrono::milliseconds duration) {
    auto const count = duration.count();
    if (count != 0 && count % 1'000 == 0) {
        return std::to_string(count / 1'000) + " s";
    }
    return std::to_string(count) + " ms";
}

std::optional<error> check_tracker_url(std::string_view url) {
    auto const separator = url.find("://");
    auto const scheme = url.substr(0, separator);
    if (separator == std::string_view::npos || (scheme != "http" && scheme != "https" && scheme != "udp")) {
        return error{in_quotes(url) + " is not a tracker: expected an URL with http://, https:// or udp://"};
    }
    if (!std::all_of(url.begin(), url.end(), [](char c) { return c > 0x20 && c < 0x7f; })) {
        return error{in_quotes(url) + " holds a character that no URL may hold"};
    }
    auto text = url.substr(separator + 3);
    text = text.substr(0, text.find_first_of("/?#"));
    if (auto const at = text.rfind('@'); at != std::string_view::npos) {
        text.remove_prefix(at + 1);
    }
    auto const [host, port] = split_authority(text);
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
