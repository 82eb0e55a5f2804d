#include "core/device/file_system.hpp"

#include <cerrno>
#include <memory>
#include <type_traits>

#include <blkid.h>
#include <fcntl.h>

#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

struct free_probe {
    void operator()(blkid_probe probe) const noexcept { ::blkid_free_probe(probe); }
};

} // namespace

result<std::optional<std::string>> detect_file_system(std::string const& path) {
    unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!fd) {
        return tl::unexpected(errno_error(path, errno));
    }
    std::unique_ptr<std::remove_pointer_t<blkid_probe>, free_probe> const probe(::blkid_new_probe());
    if (!probe) {
        return tl::unexpected(errno_error(path, ENOMEM));
    }
    errno = 0; // libblkid sets it where a system call has failed, and only then
    if (::blkid_probe_set_device(probe.get(), fd.get(), 0, 0) != 0 ||
        ::blkid_probe_enable_superblocks(probe.get(), 1) != 0 ||
        ::blkid_probe_set_superblocks_flags(probe.get(), BLKID_SUBLKS_TYPE) != 0) {
        return tl::unexpected(errno_error(path, errno != 0 ? errno : EIO));
    }
    errno = 0;
    switch (::blkid_do_safeprobe(probe.get())) {
    case 0:
        break;
    case 1:  // nothing is found
    case -2: // several are
        return std::nullopt;
    default:
        return tl::unexpected(errno_error(path, errno != 0 ? errno : EIO));
    }
    char const* type = nullptr;
    if (::blkid_probe_lookup_value(probe.get(), "TYPE", &type, nullptr) != 0) {
        return std::nullopt;
    }
    return std::string(type);
}

} // namespace seedbed
