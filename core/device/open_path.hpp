#pragma once

#include <string>

#include "core/device/block_device.hpp"

namespace seedbed {

/// A path that leads to the open device, whatever its name refers to by now.
[[nodiscard]] std::string open_path(block_device const& device);

} // namespace seedbed
