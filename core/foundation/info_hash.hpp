#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace seedbed {

/// The identifier of a torrent in the protocol: the SHA-1 of its info dictionary, or, of a v2 torrent, the first 20
/// bytes of the SHA-256 (BEP 52). By default 20 zero bytes, which no torrent has.
class info_hash {
public:
    static constexpr std::size_t size = 20; ///< bytes

    constexpr info_hash() noexcept = default;
    explicit info_hash(std::span<char const, size> bytes) noexcept;

    /// Parses 40 hex digits of either case; nothing from any other text.
    [[nodiscard]] static std::optional<info_hash> from_hex(std::string_view text) noexcept;
    /// Takes 20 bytes, as trackers and peers send them; nothing from any other length.
    [[nodiscard]] static std::optional<info_hash> from_bytes(std::string_view bytes) noexcept;

    /// Valid for the lifetime of this object.
    [[nodiscard]] std::string_view bytes() const noexcept;
    /// 40 lowercase hex digits.
    [[nodiscard]] std::string to_hex() const;

    /// Orders by the bytes, which is also the order of the hex digits.
    friend constexpr auto operator<=>(info_hash const&, info_hash const&) noexcept = default;

private:
    std::array<unsigned char, size> m_bytes{};
};

} // namespace seedbed

template <>
struct std::hash<seedbed::info_hash> {
    [[nodiscard]] std::size_t operator()(seedbed::info_hash const& key) const noexcept {
        return std::hash<std::string_view>{}(key.bytes());
    }
};
