#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/device/io_queue.hpp"

namespace seedbed {

/// Whether transfers should be run by a ring: where the profile says so, and by its "auto" where direct I/O is to be
/// had. Through the page cache a ring only hands each request to a thread of the kernel's: our own cost less.
[[nodiscard]] bool wants_ring(block_device const& device, io_profile const& profile) noexcept;

/// A queue whose transfers are requests of one io_uring, on one thread: handed over many in a system call,
/// profile.queue_depth jobs at a time.
///
/// \param memory that most transfers use, registered with the ring where the limit on locked memory allows it; may be
/// empty. \return errno where the kernel gives no ring, or the device is no file.
[[nodiscard]] result<std::unique_ptr<io_queue>, int>
make_uring_io_queue(block_device& device, io_profile const& profile, std::span<std::byte> memory);

} // namespace seedbed
