#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/device/io_queue.hpp"

namespace seedbed {

/// A queue whose transfers are requests of one io_uring, on one thread: handed over many in a system call,
/// profile.queue_depth jobs at a time.
///
/// \param memory that most transfers use, registered with the ring where the limit on locked memory allows it; may be
/// empty. \return errno where the kernel gives no ring, or the device is no file.
[[nodiscard]] result<std::unique_ptr<io_queue>, int>
make_uring_io_queue(block_device& device, io_profile const& profile, std::span<std::byte> memory);

} // namespace seedbed
