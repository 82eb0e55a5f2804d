#pragma once

#include <algorithm>
#include <chrono>

namespace seedbed {

/// How long to wait before a server that has not answered is asked again: 1, 2, 4 ... 60 s, each shortened by up to a
/// half, so that machines that start at the same time do not ask at the same time.
class retry_pause {
public:
    static constexpr std::chrono::milliseconds first{1'000};
    static constexpr std::chrono::milliseconds longest{60'000};

    /// \param chance from 0 to 1, random.
    [[nodiscard]] std::chrono::milliseconds next(double chance) {
        auto const pause = m_next;
        m_next = std::min(2 * m_next, longest);
        return std::chrono::duration_cast<std::chrono::milliseconds>(pause * (1 - std::clamp(chance, 0.0, 1.0) / 2));
    }
    /// The server has answered.
    void reset() noexcept { m_next = first; }
    /// Whether the server has failed to answer since the last reset().
    [[nodiscard]] bool is_away() const noexcept { return m_next != first; }

private:
    std::chrono::milliseconds m_next = first;
};

} // namespace seedbed
