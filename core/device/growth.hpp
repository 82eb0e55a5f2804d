#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/foundation/error.hpp"

namespace seedbed {

/// The most entries of a GPT, and so the most partitions.
inline constexpr std::int32_t most_table_entries = 1024;

/// Which partition gets the space that a larger disk has.
struct growth {
    enum class choice : std::uint8_t { none, numbered, last };

    choice which = choice::none;
    int number = 0; ///< of the partition, if numbered

    /// Whether a partition grows.
    explicit operator bool() const noexcept { return which != choice::none; }
    friend bool operator==(growth const&, growth const&) = default;
};

/// Parses "none", "last", or a partition's number.
[[nodiscard]] result<growth> parse_growth(std::string_view text);
/// The inverse.
[[nodiscard]] std::string to_string(growth const& grow);

} // namespace seedbed
