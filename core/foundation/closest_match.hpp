#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace seedbed {

/// The name of which \p word is most likely a misspelling: at most two characters added, removed or replaced, and
/// always fewer than half of the name's. Of several, the closest, then the first. Nothing if no name is that close, or
/// if \p word is itself a known name. Pure.
[[nodiscard]] std::optional<std::string> closest_match(std::string_view word, std::vector<std::string> const& known);

} // namespace seedbed
