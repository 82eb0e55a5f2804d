#pragma once

namespace seedbed {

/// Gives libtorrent a clock that is never set. libtorrent measures time with std::chrono::high_resolution_clock, which
/// is the time of day in libstdc++: after a step back, its timers wait for as long as the step, and nothing is sent
/// under a rate limit until then. Must be called before the first session is opened: it links the replacement, see
/// network_clock.cpp.
void use_steady_network_clock() noexcept;

} // namespace seedbed
