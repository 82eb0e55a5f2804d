#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

/// One block device or regular file, opened up to three times.
struct opened_files {
    unique_fd cached;           ///< through the page cache
    unique_fd write_back;       ///< to start write-back; empty if the device is read-only
    unique_fd direct;           ///< bypasses the page cache; empty if the device has no direct I/O
    std::int64_t size = 0;      ///< bytes
    int logical_block_size = 0; ///< bytes; a power of two
    bool is_block_device = false;
    std::vector<unique_fd> locks = {}; ///< on files below the device, held while it is open
};

/// A block_device on open files, for open_block_device(), which has checked the guards.
///
/// A failed flush stays failed: no later one can recover data that the kernel has dropped.
///
/// The page cache holds little dirty data: the write that completes another 8 MiB waits for the write-back started last
/// time, and starts it for the new bytes. The final flush of a stop therefore takes a second or two, not minutes. If
/// write-back fails, so do this write and every later flush.
[[nodiscard]] std::unique_ptr<block_device> make_opened_device(std::string path, opened_files files, bool writable);

} // namespace seedbed
