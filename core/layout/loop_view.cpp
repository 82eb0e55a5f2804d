#include "core/layout/loop_view.hpp"

#include <cerrno>
#include <chrono>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <linux/loop.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/device/sysfs.hpp"

namespace seedbed {

namespace {

/// How long to wait until the last user of a loop device has closed it, and the time between two looks.
constexpr std::chrono::seconds detach_limit{5};
constexpr std::chrono::milliseconds detach_poll{10};

} // namespace

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

loop_view::loop_view(unique_fd fd, std::string path)
    : m_fd(std::move(fd))
    , m_path(std::move(path)) {
    struct ::stat node = {};
    if (::fstat(m_fd.get(), &node) == 0) {
        m_folder = sysfs_folder(node.st_rdev, system_paths{}.sysfs);
        m_file = loop_backing_file(m_folder);
    }
}

loop_view::~loop_view() {
    if (!m_fd) {
        return;
    }
    m_fd.reset();
    // The kernel reports nothing that could be awaited. Another program may have attached another file meanwhile.
    auto const end = std::chrono::steady_clock::now() + detach_limit;
    while (!m_file.empty() && loop_backing_file(m_folder) == m_file && std::chrono::steady_clock::now() < end) {
        std::this_thread::sleep_for(detach_poll);
    }
}

result<void> loop_view::flush() const {
    return ::fsync(m_fd.get()) == 0 ? result<void>() : tl::unexpected(errno_error(m_path, errno));
}

} // namespace seedbed
