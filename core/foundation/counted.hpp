#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace seedbed {

/// A number and its noun, with an "s" in the plural: "1 piece", "2 pieces".
[[nodiscard]] inline std::string counted(std::int64_t number, std::string_view noun) {
    return std::to_string(number) + " " + std::string(noun) + (number == 1 ? "" : "s");
}

} // namespace seedbed
