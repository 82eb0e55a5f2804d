#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/layout/disk_layout.hpp"

namespace seedbed {

/// The bytes of a partition table, ready to be written.
struct table_bytes {
    struct run {
        std::int64_t offset = 0; ///< bytes, whole sectors
        std::vector<std::byte> bytes;
    };
    std::vector<run> runs; ///< the disk's first sector, without which no system sees a table, is the last one
};

/// Makes the table that \p layout describes, with the boot code, by libfdisk on a file in memory, and reads it back.
///
/// Call it before the first byte is written to the disk: the error says which partition libfdisk cannot write as the
/// layout has it. Whole sectors of the table only: no byte of a partition or of the boot loader's gap. Threads: any.
[[nodiscard]] result<table_bytes> make_table(disk_layout const& layout);

/// Writes a table as the last act of a deployment, and compares it with the medium.
///
/// The first sector follows when everything else is durable, so that a disk that loses power in between shows either no
/// table or all of it (if an old one was wiped before). \param device the disk that \p layout was planned for. The
/// error is one line "PATH: reason" or an io_error's. Threads: any; blocks.
[[nodiscard]] result<void> write_table(block_device& device, table_bytes const& table);

} // namespace seedbed
