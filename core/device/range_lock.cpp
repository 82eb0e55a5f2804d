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

bool is_locked_elsewhere(int fd) {
    struct ::flock lock = {};
    lock.l_type = F_WRLCK; // conflicts with every lock
    lock.l_whence = SEEK_SET;
    return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

namespace {

enum class outcome { held, skipped, conflict };

outcome lock_file_of(storage_part const& part, int fd, bool writable) {
    int const code = lock_range(fd, writable, part.begin, part.end);
    return code == 0 ? outcome::held : code == EAGAIN ? outcome::conflict : outcome::skipped;
}

/// Opens what is below a loop device, and checks that it is that.
outcome lock_part(storage_part const& part, bool writable, unique_fd& opened) {
    auto const is_device = part.id.block_device;
    opened.reset(::open(part.path.c_str(), (is_device  ? O_RDONLY | O_EXCL
                                            : writable ? O_RDWR
                                                       : O_RDONLY) |
                                               O_CLOEXEC | O_NONBLOCK));
    struct ::stat status = {};
    if (!opened) {
        auto const busy = is_device && errno == EBUSY && ::stat(part.path.c_str(), &status) == 0;
        return busy && id_of(status) == part.id ? outcome::conflict : outcome::skipped;
    }
    if (::fstat(opened.get(), &status) != 0 || id_of(status) != part.id) {
        return outcome::skipped;
    }
    return is_device ? outcome::held : lock_file_of(part, opened.get(), writable);
}

} // namespace

backing_locks lock_backing(device_stack const& stack, bool writable, bool exclusive) {
    backing_locks locks;
    for (auto const& part : stack) {
        if (part.path.empty() || (part.id.block_device && !exclusive)) {
            continue;
        }
        unique_fd opened;
        auto const found = lock_part(part, writable, opened);
        if (found == outcome::conflict) {
            locks.conflict = part.id.block_device
                                 ? "its backing device " + part.path + " is in use by another program or device"
                                 : "its backing file " + part.path + " is locked by another program";
            return locks;
        }
        if (found == outcome::held) {
            locks.held.push_back(std::move(opened));
        }
    }
    return locks;
}

bool is_claimed(std::string const& node) {
    unique_fd const opened(::open(node.c_str(), O_RDONLY | O_EXCL | O_CLOEXEC | O_NONBLOCK));
    return !opened && errno == EBUSY;
}

} // namespace seedbed
