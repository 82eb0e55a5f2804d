#include "daemon/swarm/network_clock.hpp"

#include <chrono>

#include "core/foundation/wall_clock.hpp"

/// Replaces the function of libstdc++, for libtorrent: the dynamic linker finds the program's definition first. Starts
/// at the time of day and then follows the monotonic clock. Our own code uses wall_clock_now() for the time of day.
// NOLINTNEXTLINE(cert-dcl58-cpp): the replacement is the purpose
std::chrono::system_clock::time_point std::chrono::system_clock::now() noexcept {
    struct origin {
        std::chrono::system_clock::time_point wall = seedbed::wall_clock_now();
        std::chrono::steady_clock::time_point steady = std::chrono::steady_clock::now();
    };
    static origin const began;
    return began.wall + std::chrono::duration_cast<std::chrono::system_clock::duration>(
                            std::chrono::steady_clock::now() - began.steady);
}

namespace seedbed {

void use_steady_network_clock() noexcept {
    static_cast<void>(std::chrono::system_clock::now()); // sets the origin
}

} // namespace seedbed
