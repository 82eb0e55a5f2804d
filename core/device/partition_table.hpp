#pragma once

#include <optional>
#include <string>

#include "core/device/sysfs.hpp"

namespace seedbed {

/// Has the kernel read the partition table of a whole disk again, so that /dev shows its new partitions.
///
/// \param fd of the disk, opened exclusively. \return why it did not; nothing if it did, or if there is nothing to do:
/// a regular file, a partition, or a device that never has partitions. Threads: any; blocks.
[[nodiscard]] std::optional<std::string> reread_partition_table(int fd, system_paths const& paths = {});

} // namespace seedbed
