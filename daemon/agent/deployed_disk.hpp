#pragma once

#include <string>
#include <vector>

#include "core/device/device_overview.hpp"

namespace seedbed {

/// Makes the kernel read the partition table of a disk again, so that its partitions get their devices. Does nothing
/// for a partition or a file.
void reread_partitions(std::string const& device);

/// The largest file system that can be a system's root: a Linux one, or NTFS if there is none; the device itself if it
/// has no partitions. Null if none is recognised.
struct found_partition {
    std::string path;
    std::string type; ///< as blkid(8) names it
};
[[nodiscard]] found_partition root_of(device_overview const& device);

/// The first FAT partition, which may be an EFI system partition; empty if there is none.
[[nodiscard]] std::string efi_partition_of(device_overview const& device);

/// The environment of the programs in --after-deploy: "SEEDBED_DEVICE=/dev/sda" and so on.
struct hook_facts {
    std::string device;
    std::string machine;
    std::string image;
    std::string job;
    std::string server; ///< URL
};
[[nodiscard]] std::vector<std::string> hook_environment(hook_facts const& facts, device_overview const& device);

} // namespace seedbed
