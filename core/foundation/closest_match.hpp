#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed {

/// The name that \p word is most likely a misspelling of: at most two characters added, removed or replaced, and always
/// fewer than half of the name's. Of several, the closest and then the first. Nothing if none is that close, or if
/// \p word is one of them. Pure.
[[nodiscard]] std::optional<std::string> closest_match(std::string_view word, std::vector<std::string> const& known);

} // namespace seedbed
