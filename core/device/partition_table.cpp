#include "core/device/partition_table.hpp"

#include <cerrno>

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "core/foundation/error.hpp"

namespace seedbed {

std::optional<std::string> reread_partition_table(int fd, system_paths const& paths) {
    struct ::stat status = {};
    if (::fstat(fd, &status) != 0) {
        return errno_error("fstat", errno).message;
    }
    if (!S_ISBLK(status.st_mode) || is_partition(sysfs_folder(status.st_rdev, paths.sysfs))) {
        return std::nullopt;
    }
    if (::ioctl(fd, BLKRRPART) == 0 || errno == EINVAL || errno == ENOTTY) { // the latter two: no partitions
        return std::nullopt;
    }
    return errno_error("BLKRRPART", errno).message;
}

} // namespace seedbed
