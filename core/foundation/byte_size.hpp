#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Parses a size in bytes: a whole number with an optional unit B, KiB, MiB, GiB or TiB, with or without a space ("16
/// MiB", "512KiB", "4096"). Only binary units, so that a size is never ambiguous. Fails on anything else, on a negative
/// number and on a size that does not fit in 63 bits; the error quotes the text.
[[nodiscard]] result<std::int64_t> parse_byte_size(std::string_view text);

/// Formats a size in the largest unit in which it is at least 1: "512 B", "16 MiB". A size that is not whole in that
/// unit is rounded, below ten to one decimal: "1.5 GiB", "425 MiB". parse_byte_size() accepts the whole ones.
[[nodiscard]] std::string format_byte_size(std::int64_t bytes);

} // namespace seedbed
