#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/device/device_stack.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

/// Locks bytes of an open file while it is open (fcntl(2), F_OFD_SETLK): exclusively for writing, shared for reading.
/// \return 0 or errno: EAGAIN if another open file holds a conflicting lock.
[[nodiscard]] int lock_range(int fd, bool writable, std::int64_t begin, std::int64_t end);

/// The locks on the files below a device, released on destruction.
struct backing_locks {
    std::vector<unique_fd> held;
    std::string conflict; ///< the file in which another program holds the same bytes; empty if all are locked
};

/// Locks the bytes of a loop device in its backing file, so that a second Seedbed does not serve that file or another
/// loop device on it meanwhile. Best effort: a file that cannot be opened or locked here is skipped. Threads: any;
/// blocks.
[[nodiscard]] backing_locks lock_backing_files(device_stack const& stack, bool writable);

} // namespace seedbed
