#pragma once

#include <chrono>
#include <cstdint>
#include <deque>

namespace seedbed {

/// The rate of a counter over the last one to two seconds. libtorrent's own rates are averages that take a minute to
/// decay after the last byte. Pure: the caller reads the clock.
class rate_meter {
public:
    using clock = std::chrono::steady_clock;

    /// Adds a reading. \return bytes per second between it and the oldest reading within \ref window, or the one before
    /// it if there is none; 0 for a first reading, one after a gap of \ref max_gap, and a counter that has decreased.
    std::int64_t add(clock::time_point now, std::int64_t bytes) {
        while (m_readings.size() > 1 && now - m_readings.front().time > window) {
            m_readings.pop_front();
        }
        if (!m_readings.empty() && (now - m_readings.front().time > max_gap || bytes < m_readings.back().bytes)) {
            m_readings.clear();
        }
        m_readings.push_back({now, bytes});
        auto const& from = m_readings.front();
        auto const seconds = std::chrono::duration<double>(now - from.time).count();
        return seconds > 0 ? static_cast<std::int64_t>(static_cast<double>(bytes - from.bytes) / seconds) : 0;
    }

    static constexpr std::chrono::milliseconds window{1500};
    static constexpr std::chrono::milliseconds max_gap{5000};

private:
    struct reading {
        clock::time_point time;
        std::int64_t bytes;
    };
    std::deque<reading> m_readings; ///< oldest first
};

} // namespace seedbed
