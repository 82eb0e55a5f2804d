#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace seedbed {

/// Measures how fast waiting bytes are written, and derives how many may wait: a stop has to write all of them within a
/// few seconds.
///
/// Only time during which bytes wait is counted, so that a slow network does not look like a slow disk.
///
/// Threads: confined to one, the network thread.
class drain_meter {
public:
    using clock = std::chrono::steady_clock;

    /// Bytes that may always wait: a disk of 10 MB/s writes them in 3 seconds, and they arrive over 10 GbE in 1/40
    /// second.
    static constexpr std::int64_t floor = std::int64_t{32} << 20;
    /// The longest time that writing the waiting bytes may take.
    static constexpr std::chrono::milliseconds longest{2000};

    /// Bytes wait from now on; none did before.
    void begin(clock::time_point now) noexcept { m_since = now; }

    /// \p bytes have been written since begin() or the last call.
    void drained(clock::time_point now, std::int64_t bytes) noexcept {
        m_busy += now - m_since;
        m_since = now;
        m_bytes += bytes;
        if (m_busy < window) {
            return;
        }
        auto const rate = static_cast<double>(m_bytes) / std::chrono::duration<double>(m_busy).count();
        m_rate = m_rate == 0 ? rate : (m_rate + rate) / 2;
        m_bytes = 0;
        m_busy = {};
    }

    /// Bytes per second; 0 until enough has been written to know.
    [[nodiscard]] double rate() const noexcept { return m_rate; }
    /// The number of bytes that may wait.
    [[nodiscard]] std::int64_t limit() const noexcept {
        return std::max(floor, static_cast<std::int64_t>(m_rate * std::chrono::duration<double>(longest).count()));
    }

private:
    static constexpr std::chrono::milliseconds window{250};

    clock::time_point m_since;
    clock::duration m_busy{};
    std::int64_t m_bytes = 0;
    double m_rate = 0;
};

} // namespace seedbed
