#include "core/foundation/wall_clock.hpp"

#include <ctime>

namespace seedbed {

std::chrono::system_clock::time_point wall_clock_now() noexcept {
    ::timespec now{};
    static_cast<void>(::clock_gettime(CLOCK_REALTIME, &now)); // cannot fail: the clock exists, the address is valid
    return std::chrono::system_clock::time_point(std::chrono::duration_cast<std::chrono::system_clock::duration>(
        std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec)));
}

} // namespace seedbed
