#include "config/host_port.hpp"

#include <charconv>
#include <system_error>

namespace seedbed {

host_port split_host_port(std::string_view text) {
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

std::optional<std::uint16_t> parse_port(std::string_view text) {
    std::uint16_t port = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), port);
    if (ec != std::errc{} || end != text.data() + text.size() || text.front() == '0') {
        return std::nullopt;
    }
    return port;
}

} // namespace seedbed
