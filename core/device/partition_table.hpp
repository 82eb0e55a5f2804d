#pragma once

#include <optional>
#include <string>

#include "core/device/sysfs.hpp"

namespace seedbed {

/// Has the kernel reread the partition table of a whole disk, so that its new partitions appear in /dev.
///
/// \param fd of the disk, opened exclusively. \return why it failed; nothing on success, or if there is nothing to do:
/// a regular file, a partition, or a device that never has partitions. Threads: any; blocks.
[[nodiscard]] std::optional<std::string> reread_partition_table(int fd, system_paths const& paths = {});

} // namespace seedbed
