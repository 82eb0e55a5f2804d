#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Reads a size in bytes: a whole number with an optional unit B, KiB, MiB, GiB or TiB, with or without a space
/// ("16 MiB", "512KiB", "4096"). Only binary units, so that nobody has to guess. Fails on anything else, on a
/// negative number and on what does not fit 63 bits; the error names the text.
[[nodiscard]] result<std::int64_t> parse_byte_size(std::string_view text);

/// Writes a size with the largest unit in which it is at least 1: "512 B", "16 MiB". A size that is not whole in that
/// unit is rounded, below ten to one decimal: "1.5 GiB", "425 MiB"; parse_byte_size() reads a whole one back.
[[nodiscard]] std::string format_byte_size(std::int64_t bytes);

} // namespace seedbed
