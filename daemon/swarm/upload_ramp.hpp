#pragma once

#include <algorithm>

#include "config/settings.hpp"

namespace seedbed {

/// How many peers are served concurrently while a room of machines boots (network.slow_start): few at first, so that
/// they soon have whole pieces to pass on, then twice as many at each step, then all. Starts over when all peers have
/// left.
///
/// Threads: not thread-safe.
class upload_ramp {
public:
    static constexpr int first = 4;
    static constexpr int last = 128;

    /// A peer has connected. \return whether to call step() from now on, every few seconds.
    bool begin() noexcept {
        if (m_running || m_open) {
            return false;
        }
        m_running = true;
        return true;
    }

    /// \return whether to call it again.
    bool step() noexcept {
        if (!m_running) {
            return false;
        }
        m_open = m_slots >= last;
        m_slots *= 2;
        m_running = !m_open;
        return m_running;
    }

    /// The last peer has disconnected. \return whether anything has changed.
    bool reset() noexcept {
        auto const changed = m_running || m_open;
        m_running = false;
        m_open = false;
        m_slots = first;
        return changed;
    }

    /// As in the configuration, 0 means no limit.
    [[nodiscard]] int slots(network_settings const& network) const noexcept {
        if (!network.slow_start || m_open) {
            return network.upload_slots;
        }
        return network.upload_slots == 0 ? m_slots : std::min(m_slots, network.upload_slots);
    }

private:
    int m_slots = first;
    bool m_running = false;
    bool m_open = false;
};

} // namespace seedbed
