#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

namespace seedbed {

/// Measures how fast waiting bytes are written, and so how many may wait: a stop has to write all of them in a few
/// seconds.
///
/// Only the time counts in which bytes wait, so that a slow network does not look like a slow disk.
///
/// Threads: confined to one, the network thread.
class drain_meter {
public:
    using clock = std::chrono::steady_clock;

    /// This much may always wait, in bytes: a disk of 10 MB/s writes it in 3 seconds, and it arrives over 10 GbE in a
    /// fortieth of a second.
    static constexpr std::int64_t floor = std::int64_t{32} << 20;
    /// Waiting bytes may take this long to be written.
    static constexpr std::chrono::milliseconds longest{2000};

    /// Bytes wait from now on; before, there were none.
    void begin(clock::time_point now) noexcept { m_since = now; }

    /// \p bytes that waited have been written since begin() or the last call.
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

    /// Bytes a second; 0 until enough has been written to know.
    [[nodiscard]] double rate() const noexcept { return m_rate; }
    /// Bytes that may wait.
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
