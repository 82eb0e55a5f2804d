#pragma once

#include <concepts>
#include <string>
#include <string_view>

namespace seedbed {

/// "1 extent", "3 peers". \p noun has a plural in -s.
[[nodiscard]] std::string format_count(std::integral auto count, std::string_view noun) {
    return std::to_string(count) + ' ' + std::string(noun) + (count == 1 ? "" : "s");
}

} // namespace seedbed
