#pragma once

#include <string>
#include <string_view>

namespace seedbed {

/// \p text with "?" in place of each byte that is not printable ASCII: text from outside must not control a terminal or
/// corrupt a log. The result takes one column per byte.
[[nodiscard]] std::string printable(std::string_view text);

} // namespace seedbed
