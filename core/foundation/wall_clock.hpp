#pragma once

#include <chrono>

namespace seedbed {

/// The time of day. std::chrono::system_clock::now() does not return it in this program: see
/// daemon/swarm/network_clock.cpp.
/// Threads: any.
[[nodiscard]] std::chrono::system_clock::time_point wall_clock_now() noexcept;

} // namespace seedbed
