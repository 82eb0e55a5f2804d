#pragma once

#include <chrono>
#include <optional>
#include <utility>

#include <boost/system/error_code.hpp>

namespace seedbed {

/// Whether the system is out of descriptors or memory, which another connection may free at any time.
[[nodiscard]] inline bool is_exhaustion(boost::system::error_code const& ec) {
    using namespace boost::system::errc;
    return ec == too_many_files_open || ec == too_many_files_open_in_system || ec == not_enough_memory ||
           ec == no_buffer_space;
}

/// Decides when a session stops listening because it cannot accept a connection, and which failures it logs.
///
/// libtorrent does not wait before it accepts again: without descriptors its thread spins, and each failure is an
/// alert. After other failures it stops accepting altogether. Reopening its listening sockets ends both.
///
/// Threads: not thread-safe.
class accept_pause {
public:
    using clock = std::chrono::steady_clock;
    static constexpr std::chrono::seconds length{1};
    /// A failure after this much time without one is a new event.
    static constexpr std::chrono::seconds quiet{60};

    /// An accept failed. \return whether to stop listening, for `length`; false if that has already been done.
    [[nodiscard]] bool begin() noexcept { return !std::exchange(m_paused, true); }
    /// Whether to log the failure of a pause that begins at \p now.
    [[nodiscard]] bool is_news(clock::time_point now) noexcept {
        auto const last = std::exchange(m_last, now);
        return !last || now - *last > quiet;
    }
    /// The session listens again.
    void end() noexcept { m_paused = false; }

private:
    bool m_paused = false;
    std::optional<clock::time_point> m_last; ///< when the last pause began
};

} // namespace seedbed
