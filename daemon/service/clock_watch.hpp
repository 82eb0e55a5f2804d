#pragma once

#include <chrono>
#include <functional>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "core/foundation/wall_clock.hpp"

namespace seedbed {

/// Logs one line each time the system clock is set. Nothing depends on it: durations are measured on the monotonic
/// clock, and so are libtorrent's (see network_clock.hpp). Small corrections are not logged.
///
/// Threads: confined to the one that runs the io_context.
class clock_watch {
public:
    using wall_clock = std::function<std::chrono::system_clock::time_point()>;

    explicit clock_watch(boost::asio::io_context& main, wall_clock wall = wall_clock_now);

    /// Does nothing if the kernel has no such timer.
    void start();
    void stop();

private:
    void arm();
    void on_event();
    /// The time of day minus the monotonic time; changes only when the clock is set.
    [[nodiscard]] std::chrono::nanoseconds offset() const;

    wall_clock const m_wall;
    boost::asio::posix::stream_descriptor m_timer; ///< a timerfd
    std::chrono::nanoseconds m_offset{0};
};

/// The message about a step, which is positive if the clock was set forward; empty for a step below a second.
[[nodiscard]] std::string clock_step_message(std::chrono::nanoseconds step);

} // namespace seedbed
