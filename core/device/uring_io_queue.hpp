#pragma once

#include <cstddef>
#include <memory>
#include <span>

#include "core/device/io_queue.hpp"

namespace seedbed {

/// Whether a ring should run the transfers: if the profile says so, or if it says "auto" and direct I/O is available.
/// Through the page cache, a ring only passes each request to a kernel thread; our own threads cost less.
[[nodiscard]] bool wants_ring(block_device const& device, io_profile const& profile) noexcept;

/// A queue whose transfers are requests of one io_uring, on one thread: many submitted in one system call,
/// profile.queue_depth jobs at a time.
///
/// \param memory used by most transfers, registered with the ring if the limit on locked memory allows it; may be
/// empty. \return errno if the kernel refuses a ring or the device is not a file.
[[nodiscard]] result<std::unique_ptr<io_queue>, int>
make_uring_io_queue(block_device& device, io_profile const& profile, std::span<std::byte> memory);

} // namespace seedbed
