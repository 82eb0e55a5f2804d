#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"
#include "daemon/http/http_message.hpp"

namespace seedbed {

/// The server that a URL names.
struct http_authority {
    std::string host; ///< a name or a literal address, without brackets
    std::uint16_t port = 80;

    /// "192.0.2.1:6969", "[2001:db8::1]:6969".
    [[nodiscard]] std::string text() const;
    friend bool operator==(http_authority const&, http_authority const&) = default;
};

/// Parses "HOST", "HOST:PORT", "[V6]" or "[V6]:PORT"; nothing for any other text.
[[nodiscard]] std::optional<http_authority> parse_authority(std::string_view text, std::uint16_t default_port = 80);

struct http_url {
    http_authority server;
    std::string target; ///< path and query: "/images/win11"
};

/// Parses "http://HOST[:PORT][/PATH][?QUERY]"; a fragment is dropped. The error is one line that quotes the URL: https
/// and other schemes, a user name, characters that no URL has.
[[nodiscard]] result<http_url> parse_http_url(std::string_view url);

/// The server as the client has named it; the address that it has connected to if it has named none; empty if that is a
/// link-local one, which URLs cannot express.
[[nodiscard]] std::string server_named_by(http_request const& request);

} // namespace seedbed
