#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string>

namespace seedbed {

/// Appends a number, the least significant byte first.
template <std::unsigned_integral Number>
void append_little_endian(std::string& to, Number value) {
    for (std::size_t i = 0; i < sizeof value; ++i) {
        to.push_back(static_cast<char>(value >> (8 * i) & 0xff));
    }
}

/// The number at \p offset. All of it must lie within \p bytes.
template <std::unsigned_integral Number>
[[nodiscard]] Number little_endian_at(std::span<std::byte const> bytes, std::size_t offset) {
    Number value = 0;
    for (std::size_t i = 0; i < sizeof value; ++i) {
        value = static_cast<Number>(value | static_cast<Number>(std::to_integer<Number>(bytes[offset + i]) << (8 * i)));
    }
    return value;
}

} // namespace seedbed
