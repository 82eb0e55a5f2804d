#include "core/foundation/info_hash.hpp"

#include <cstring>

#include "core/foundation/hex_number.hpp"

namespace seedbed {

info_hash::info_hash(std::span<char const, size> bytes) noexcept {
    std::memcpy(m_bytes.data(), bytes.data(), size);
}

std::optional<info_hash> info_hash::from_hex(std::string_view text) noexcept {
    if (text.size() != 2 * size || !is_hex(text)) {
        return std::nullopt;
    }
    info_hash made;
    for (std::size_t i = 0; i < size; ++i) {
        made.m_bytes[i] = static_cast<unsigned char>(*parse_hex_number(text.substr(2 * i, 2)));
    }
    return made;
}

std::optional<info_hash> info_hash::from_bytes(std::string_view bytes) noexcept {
    if (bytes.size() != size) {
        return std::nullopt;
    }
    return info_hash(std::span<char const, size>(bytes.data(), size));
}

std::string_view info_hash::bytes() const noexcept {
    return {reinterpret_cast<char const*>(m_bytes.data()), size};
}

std::string info_hash::to_hex() const {
    return seedbed::to_hex(bytes());
}

} // namespace seedbed
