#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

namespace seedbed {

/// A token bucket: allows a burst of events, and one more after each interval.
class allowance {
public:
    using clock = std::chrono::steady_clock;

    constexpr allowance(int burst, clock::duration interval)
        : m_interval(interval)
        , m_burst(burst * interval) {}

    /// \return whether an event is allowed at \p now, which counts it.
    [[nodiscard]] bool take(clock::time_point now) {
        auto const next = std::max(m_spent_until, now) + m_interval;
        if (next - now > m_burst) {
            return false;
        }
        m_spent_until = next;
        return true;
    }

private:
    clock::duration m_interval;
    clock::duration m_burst;
    clock::time_point m_spent_until = clock::time_point::min(); ///< time at which the whole burst is allowed again
};

/// Limits log lines of one kind that outsiders can cause, and counts the omitted ones.
///
/// Threads: one at a time.
class line_limit {
public:
    constexpr line_limit(int burst, allowance::clock::duration interval)
        : m_allowed(burst, interval) {}

    /// \return whether to write a line. If not, it counts as omitted.
    [[nodiscard]] bool take(allowance::clock::time_point now) {
        auto const allowed = m_allowed.take(now);
        m_left_out += allowed ? 0 : 1;
        return allowed;
    }

    /// As take(), for a line whose end states how many were omitted before it. \return that end, empty if none was;
    /// nothing if this line is omitted, too.
    [[nodiscard]] std::optional<std::string> take_noting(allowance::clock::time_point now);

    /// The number of lines omitted since the last call that returned more than 0. Returns 0 while no line is allowed,
    /// because reporting the number takes a line itself.
    [[nodiscard]] std::size_t take_left_out(allowance::clock::time_point now) {
        return m_left_out > 0 && m_allowed.take(now) ? std::exchange(m_left_out, 0) : 0;
    }

    [[nodiscard]] bool has_left_out() const noexcept { return m_left_out > 0; }

private:
    allowance m_allowed;
    std::size_t m_left_out = 0;
};

} // namespace seedbed
