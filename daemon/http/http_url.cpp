#include "daemon/http/http_url.hpp"

#include <algorithm>

#include "config/host_port.hpp"
#include "config/ip_network.hpp"

namespace seedbed {

namespace {

constexpr std::size_t longest_host = 253; // RFC 1035

bool is_host_name(std::string_view host) {
    return !host.empty() && host.size() <= longest_host && std::ranges::all_of(host, [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
               c == '_';
    });
}

} // namespace

std::string http_authority::text() const {
    auto const v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::optional<http_authority> parse_authority(std::string_view text, std::uint16_t default_port) {
    auto const [host, port] = split_host_port(text);
    auto const number = port ? parse_port(*port) : default_port;
    if (!number) {
        return std::nullopt;
    }
    if (is_bracketed(host)) {
        auto const address = host.substr(1, host.size() - 2);
        auto const valid = address.find(':') != std::string_view::npos && parse_ip_address(address).has_value();
        return valid ? std::optional(http_authority{std::string(address), *number}) : std::nullopt;
    }
    return is_host_name(host) ? std::optional(http_authority{std::string(host), *number}) : std::nullopt;
}

result<http_url> parse_http_url(std::string_view url) {
    constexpr std::string_view scheme = "http://";
    auto const refuse = [url](char const* reason) {
        return tl::unexpected(error{"'" + std::string(url) + "' " + reason});
    };
    if (!std::ranges::all_of(url, [](char c) { return c > 0x20 && c < 0x7f; })) {
        return tl::unexpected(error{"the URL contains a character that is not allowed in a URL"});
    }
    if (!url.starts_with(scheme)) {
        return refuse(url.starts_with("https://") ? "is not supported: expected a URL with http://"
                                                  : "is not a URL with http://");
    }
    auto rest = url.substr(scheme.size());
    rest = rest.substr(0, rest.find('#'));
    auto const end = std::min(rest.find_first_of("/?"), rest.size());
    auto const server = parse_authority(rest.substr(0, end));
    if (!server) {
        return refuse("names no host, or an invalid port");
    }
    auto const target = rest.substr(end);
    return http_url{*server, (target.starts_with('/') ? "" : "/") + std::string(target)};
}

std::string server_named_by(http_request const& request) {
    if (auto const named = parse_authority(request.host)) {
        return named->text();
    }
    return request.local_address.find('%') == std::string::npos
               ? http_authority{request.local_address, request.local_port}.text()
               : "";
}

} // namespace seedbed
