#include "core/device/range_lock.hpp"

#include <cerrno>
#include <limits>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>

namespace seedbed {

int lock_range(int fd, bool writable, std::int64_t begin, std::int64_t end) {
    struct ::flock lock = {};
    lock.l_type = static_cast<short>(writable ? F_WRLCK : F_RDLCK);
    lock.l_whence = SEEK_SET;
    lock.l_start = begin;
    lock.l_len = end == std::numeric_limits<std::int64_t>::max() ? 0 : end - begin; // 0: to the end, wherever that is
    while (::fcntl(fd, F_OFD_SETLK, &lock) != 0) {
        if (errno != EINTR) {
            return errno == EACCES ? EAGAIN : errno;
        }
    }
    return 0;
}

backing_locks lock_backing_files(device_stack const& stack, bool writable) {
    backing_locks locks;
    for (auto const& part : stack) {
        if (part.id.block_device || part.path.empty()) {
            continue;
        }
        unique_fd file(::open(part.path.c_str(), (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NONBLOCK));
        struct ::stat status = {};
        if (!file || ::fstat(file.get(), &status) != 0 || id_of(status) != part.id) {
            continue;
        }
        int const code = lock_range(file.get(), writable, part.begin, part.end);
        if (code == EAGAIN) {
            locks.conflict = part.path;
            return locks;
        }
        if (code == 0) {
            locks.held.push_back(std::move(file));
        }
    }
    return locks;
}

} // namespace seedbed
