#include "core/layout/loop_view.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <unistd.h>

namespace seedbed {

result<loop_view> loop_view::make(int disk, std::int64_t offset, std::int64_t size, std::int32_t sector_size) {
    unique_fd const control(::open("/dev/loop-control", O_RDWR | O_CLOEXEC));
    if (!control) {
        return tl::unexpected(errno_error("/dev/loop-control", errno));
    }
    ::loop_config config = {};
    config.fd = static_cast<std::uint32_t>(disk);
    config.block_size = static_cast<std::uint32_t>(sector_size);
    config.info.lo_offset = static_cast<std::uint64_t>(offset);
    config.info.lo_sizelimit = static_cast<std::uint64_t>(size);
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR;
    for (;;) {
        int const number = ::ioctl(control.get(), LOOP_CTL_GET_FREE);
        if (number < 0) {
            return tl::unexpected(errno_error("a loop device", errno));
        }
        auto path = "/dev/loop" + std::to_string(number);
        unique_fd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
        if (!fd) {
            return tl::unexpected(errno_error(path, errno));
        }
        if (::ioctl(fd.get(), LOOP_CONFIGURE, &config) == 0) {
            return loop_view(std::move(fd), std::move(path));
        }
        if (errno != EBUSY) { // another program has taken it in the meantime
            return tl::unexpected(errno_error(path, errno));
        }
    }
}

result<void> loop_view::flush() const {
    return ::fsync(m_fd.get()) == 0 ? result<void>() : tl::unexpected(errno_error(m_path, errno));
}

} // namespace seedbed
