#pragma once

#include <cstdint>
#include <string>

#include "core/foundation/error.hpp"
#include "core/layout/disk_layout.hpp"

namespace seedbed {

/// Reads a disk's partition table, its boot code, and what each partition holds.
///
/// In each content, minimal_size and used are the partition's size: a caller that knows the used blocks lowers them.
/// Refused: a disk without a table; tables other than GPT and MBR; a GPT with a hybrid MBR, or whose entries do not
/// follow its header; partitions that overlap or reach beyond the disk.
///
/// \param path of a disk, or of a regular file with a disk's bytes. The error is one line "PATH: reason". Reads through
/// the page cache. Threads: any; blocks.
[[nodiscard]] result<disk_layout> read_disk_layout(std::string const& path);

/// The partition table alone: the layout without boot code, gap and contents. \param sector_size of a regular file,
/// bytes; 0 to find it out. \param name for errors.
[[nodiscard]] result<disk_layout> read_partition_table(int fd, std::string const& name, std::int32_t sector_size = 0);

} // namespace seedbed
