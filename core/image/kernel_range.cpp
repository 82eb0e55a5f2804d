#include "core/image/kernel_range.hpp"

#include <array>
#include <cerrno>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

namespace seedbed {

namespace {

/// Calls it again while a signal interrupts it. \return 0 or an errno.
template <class Call>
int retry_interrupted(Call const& call) {
    while (call() != 0) {
        if (errno != EINTR) {
            return errno;
        }
    }
    return 0;
}

} // namespace

int kernel_range::control(unsigned long request) const {
    std::array<std::uint64_t, 2> range{static_cast<std::uint64_t>(offset), static_cast<std::uint64_t>(length)};
    return retry_interrupted([&] { return ::ioctl(fd, request, range.data()); });
}

int kernel_range::punch_hole() const {
    return retry_interrupted(
        [&] { return ::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, offset, length); });
}

result<kernel_range, int> prepare_kernel_range(block_device& device, std::int64_t offset, std::int64_t length) {
    auto const raw = device.raw();
    if (!raw || device.part_in_memory(offset, length).length > 0) {
        return tl::make_unexpected(EOPNOTSUPP);
    }
    struct ::stat status = {};
    if (::fstat(raw->cached, &status) != 0) {
        return tl::make_unexpected(errno);
    }
    if (auto const code = raw->refuse(true, offset, length); code != 0) {
        return tl::make_unexpected(code);
    }
    if (auto const allowed = device.will_write(offset, length); !allowed) {
        return tl::make_unexpected(allowed.error().code);
    }
    return kernel_range{raw->cached, S_ISBLK(status.st_mode), offset, length};
}

} // namespace seedbed
