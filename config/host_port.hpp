#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace seedbed {

/// A text of the form "HOST", "HOST:PORT", "[V6]" or "[V6]:PORT".
struct host_port {
    std::string_view host;                ///< with its brackets
    std::optional<std::string_view> port; ///< the text after the colon; nothing if there is no colon
};

/// Only splits the text; checks neither part.
[[nodiscard]] host_port split_host_port(std::string_view text);

[[nodiscard]] bool is_bracketed(std::string_view host);

/// 1 to 65535 without sign or leading zero; nothing for any other text.
[[nodiscard]] std::optional<std::uint16_t> parse_port(std::string_view text);

} // namespace seedbed
