#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace seedbed {

/// The kind of disk that stores an image; it selects the io_profile. From the slowest to the fastest.
enum class storage_class : std::uint8_t { hdd, sata_ssd, nvme };

/// As written in the configuration: "hdd", "sata_ssd", "nvme".
[[nodiscard]] char const* to_string(storage_class cls) noexcept;
/// As shown to people: "HDD", "SATA SSD", "NVMe".
[[nodiscard]] char const* display_name(storage_class cls) noexcept;
/// The inverse of to_string(); nothing for any other text.
[[nodiscard]] std::optional<storage_class> parse_storage_class(std::string_view text) noexcept;

/// A decision and its reason.
struct storage_class_decision {
    storage_class cls = storage_class::hdd;
    std::string evidence; ///< for a log line, after "because": for example "sda/queue/rotational=1"
};

/// Determines the class of the disk beneath \p path, a block device or a regular file.
///
/// Never fails: an unknown device gets the class that the rules state, and the evidence says so. Reads a few files of
/// sysfs; not for the network thread.
///
/// \param sysfs the root of sysfs. \param mountinfo the mounts as in proc(5). Tests pass their own.
///
/// From the device down to the disks:
/// - A regular file: the device of its file system (st_dev). If that is not a block device, its mount decides: btrfs,
///   the slowest of its devices (/sys/fs/btrfs); overlay, its upper layer, or its lower one if it is read-only;
///   tmpfs and ramfs, memory; any other, the device that is its source, if it has one.
/// - A partition: its disk. A loop device: its backing file.
/// - dm, md and everything else with slaves/: the slowest disk beneath, because a transfer ends with its last part.
///
/// Then the disk, by the bus on which sysfs places it (the `subsystem` of the devices above it), regardless of its
/// name:
/// - NVMe, local, multipath or over a fabric, and non-volatile memory (pmem): NVMe, unless queue/rotational is 1.
/// - virtio-blk and Xen: SATA SSD. They report the same rotational whatever lies beneath. Such a disk takes several
///   requests at once, and beneath it is mostly flash or the host's cache; the threads of NVMe would be a gamble.
/// - An SD card: HDD. It reports rotational=0 but takes one request at a time and needs long writes.
/// - Any other bus, that is SCSI, ATA, eMMC, USB: queue/rotational, 1 is an HDD and 0 a SATA SSD. USB sticks and most
///   bridges are classified as HDD, because the kernel assumes 1 if it cannot ask: right for devices that take one
///   request at a time. A USB disk with 0 has reported that itself, through UAS.
/// - zram and ram: memory.
///
/// Memory gets NVMe: its requests do not wait for each other. Everything else (nbd, rbd, a network file system, a path
/// that cannot be examined) gets HDD: few threads and long runs cost a fast disk little, while many threads cost a slow
/// one most of its throughput.
[[nodiscard]] storage_class_decision
detect_storage_class(std::filesystem::path const& path, std::filesystem::path const& sysfs = "/sys",
                     std::filesystem::path const& mountinfo = "/proc/self/mountinfo");

/// The same for a block device without a node in /dev: \p device is its kernel name ("sda1") or its number ("8:1").
[[nodiscard]] storage_class_decision
classify_block_device(std::string const& device, std::filesystem::path const& sysfs = "/sys",
                      std::filesystem::path const& mountinfo = "/proc/self/mountinfo");

} // namespace seedbed
