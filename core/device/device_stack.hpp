#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "core/device/sysfs.hpp"

namespace seedbed {

/// A block device, whatever its nodes are called, or a regular file.
struct storage_id {
    bool block_device = false;
    dev_t device = 0; ///< the block device's own number, or that of the file's file system
    ino_t inode = 0;  ///< of a file

    friend auto operator<=>(storage_id const&, storage_id const&) = default;
};

/// A range of bytes of a block device or file that belongs to a device above it.
struct storage_part {
    storage_id id;
    std::int64_t begin = 0; ///< bytes
    std::int64_t end = std::numeric_limits<std::int64_t>::max();
    /// False below dm and md, which use an unknown part of the range.
    bool exact = true;
    std::string path = {}; ///< of a loop device's backing file, as the kernel names it; may lead elsewhere
};

/// A device or file, followed by everything below it: the disk of a partition, the backing file of a loop device, the
/// devices of dm and md. A regular file is the end: its file system is mounted and not part of the stack.
using device_stack = std::vector<storage_part>;

[[nodiscard]] storage_id id_of(struct ::stat const& status);
[[nodiscard]] device_stack stack_of(struct ::stat const& status, system_paths const& paths = {});
[[nodiscard]] device_stack stack_of(dev_t device, system_paths const& paths = {});

/// Whether writing to one can change the other. Two that share a device only through dm or md, such as two logical
/// volumes of one disk, are neighbours and do not overlap.
[[nodiscard]] bool overlap(std::span<storage_part const> a, std::span<storage_part const> b);

/// Whether \p id is the device itself or below it.
[[nodiscard]] bool stands_on(std::span<storage_part const> stack, storage_id const& id);

/// A block device on top of others: dm, md, or a loop device.
struct stacked_device {
    std::string name;         ///< the kernel's: "dm-0", "loop3"
    std::string backing_file; ///< of a loop device
};

/// The devices on top of any byte of \p stack, sorted by name; the devices that \p stack itself consists of are
/// excluded. Reads sysfs. Threads: any; blocks.
[[nodiscard]] std::vector<stacked_device> devices_above(device_stack const& stack, system_paths const& paths = {});

/// Whether two paths lead to devices or files of which one can change the other, as a loop device and its backing file.
/// False if either cannot be examined.
[[nodiscard]] bool paths_overlap(std::string const& a, std::string const& b, system_paths const& paths = {});

} // namespace seedbed
