#pragma once

#include <string>

#include "core/foundation/error.hpp"

namespace seedbed {

/// What libblkid recognises on a device. Empty texts where there is nothing, or more than one thing.
struct disk_content {
    std::string type;  ///< of file system, volume, swap space: as blkid(8) names it, "ext4"
    std::string label; ///< the name that somebody gave it
    std::string uuid;
    std::string partition_table; ///< "gpt" or "dos"
    std::string partition_uuid;  ///< of the partition that the device is, from its disk's table
};

/// \param path block device or regular file; read through the page cache, a few KiB. The error is one line
/// "PATH: reason". Threads: any; blocks.
[[nodiscard]] result<disk_content> probe_content(std::string const& path);

} // namespace seedbed
