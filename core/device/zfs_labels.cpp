#include "core/device/zfs_labels.hpp"

#include <cerrno>

#include <byteswap.h>
#include <unistd.h>

namespace seedbed {

namespace {

/// ZEC_MAGIC of OpenZFS's include/sys/zio.h. Written in the byte order of the machine that made the pool.
constexpr std::uint64_t description_magic = 0x0210da7ab10c7a11;

} // namespace

std::vector<zfs_label> zfs_labels(std::int64_t device_size) {
    auto const end = device_size - device_size % zfs_label::size;
    if (end < 4 * zfs_label::size) {
        return {};
    }
    return {{0}, {zfs_label::size}, {end - 2 * zfs_label::size}, {end - zfs_label::size}};
}

result<bool, int> describes_pool(int fd, zfs_label label) {
    std::uint64_t magic = 0;
    static_assert(sizeof magic == zfs_label::magic_length);
    ::ssize_t got = 0;
    do {
        got = ::pread(fd, &magic, sizeof magic, label.magic_offset());
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        return tl::unexpected(errno);
    }
    return got == ::ssize_t{sizeof magic} && (magic == description_magic || magic == ::bswap_64(description_magic));
}

} // namespace seedbed
