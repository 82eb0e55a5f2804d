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

/// Whether another open file holds a lock on any byte of the file. False if that cannot be found out.
[[nodiscard]] bool is_locked_elsewhere(int fd);

/// The locks on the files and devices below a loop device, released on destruction.
struct backing_locks {
    std::vector<unique_fd> held;
    std::string conflict; ///< why not all are locked: "its backing file /srv/a.img is locked by another program"
};

/// Locks the bytes of a loop device in its backing file, so that a second Seedbed does not serve that file or another
/// loop device on it meanwhile. Opens a backing block device exclusively, which a loop device does not do: this fails
/// while a file system on it is mounted in any mount namespace. \param exclusive false if something on these devices
/// is mounted, and that is allowed. Best effort: what cannot be opened or locked here is skipped. Threads: any; blocks.
[[nodiscard]] backing_locks lock_backing(device_stack const& stack, bool writable, bool exclusive);

/// Whether something uses a block device exclusively, such as a file system that is mounted in another mount namespace.
/// False if the device cannot be opened. Threads: any; blocks.
[[nodiscard]] bool is_claimed(std::string const& node);

} // namespace seedbed
