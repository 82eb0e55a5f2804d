#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace seedbed {

/// The value of \p text, which must consist of hex digits only (either case, any number, leading zeros allowed).
/// Nothing if it is empty, has another character or does not fit in 63 bits.
[[nodiscard]] std::optional<std::int64_t> parse_hex_number(std::string_view text) noexcept;

/// Whether \p text is not empty and consists of hex digits only.
[[nodiscard]] bool is_hex(std::string_view text) noexcept;

/// A device offset as partclone writes it and uses it in file names: 32 lowercase hex digits.
[[nodiscard]] std::string to_hex_offset(std::int64_t offset);

/// Two lowercase hex digits per byte.
[[nodiscard]] std::string to_hex(std::string_view bytes);

} // namespace seedbed
