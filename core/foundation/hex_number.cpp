#include "core/foundation/hex_number.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <system_error>

namespace seedbed {

bool is_hex(std::string_view text) noexcept {
    return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    });
}

std::optional<std::int64_t> parse_hex_number(std::string_view text) noexcept {
    std::int64_t value = 0;
    if (!is_hex(text) || std::from_chars(text.data(), text.data() + text.size(), value, 16).ec != std::errc{}) {
        return std::nullopt;
    }
    return value;
}

std::string to_hex_offset(std::int64_t offset) {
    std::array<char, 33> text{};
    static_cast<void>(std::snprintf(text.data(), text.size(), "%032llx", static_cast<unsigned long long>(offset)));
    return text.data();
}

std::string to_hex(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string text;
    text.reserve(bytes.size() * 2);
    for (char const c : bytes) {
        auto const byte = static_cast<unsigned char>(c);
        text += digits[byte >> 4];
        text += digits[byte & 15];
    }
    return text;
}

} // namespace seedbed
