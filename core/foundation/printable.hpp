#pragma once

#include <string>
#include <string_view>

namespace seedbed {

/// \p text with a "?" for each byte that is no printable ASCII: what others tell of themselves must drive neither a
/// terminal nor a log, and then takes one column a byte.
[[nodiscard]] std::string printable(std::string_view text);

} // namespace seedbed
