#pragma once

#include <cstdint>
#include <memory>

#include "core/device/block_device.hpp"
#include "core/device/io_profile.hpp"
#include "core/device/io_queue.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// A queue for reading a device once, from the first byte to the last, in large requests.
[[nodiscard]] std::unique_ptr<io_queue> make_reading_queue(block_device& device, io_profile const& profile);

/// The length of such requests, in bytes: a power of two of at least 1 MiB.
[[nodiscard]] std::int64_t reading_request(io_profile const& profile) noexcept;

/// Finds the exact place after a large request has failed, by reading it page by page. Call it when nothing else reads.
[[nodiscard]] io_error first_unreadable(block_device& device, io_error const& failed);

} // namespace seedbed
