#include "daemon/log/line_limit.hpp"

#include "core/foundation/format_count.hpp"

namespace seedbed {

std::optional<std::string> line_limit::take_noting(allowance::clock::time_point now) {
    if (!take(now)) {
        return std::nullopt;
    }
    auto const count = std::exchange(m_left_out, 0);
    return count == 0 ? "" : " (left out before: " + format_count(count, "line") + " like this)";
}

} // namespace seedbed
