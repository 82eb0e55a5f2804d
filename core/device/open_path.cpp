#include "core/device/open_path.hpp"

namespace seedbed {

std::string open_path(block_device const& device) {
    auto const raw = device.raw();
    return raw ? "/proc/self/fd/" + std::to_string(raw->cached) : device.path();
}

} // namespace seedbed
