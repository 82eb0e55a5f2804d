#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

namespace seedbed {

/// The kind of disk that an image lives on; it decides the io_profile. From the slowest to the fastest.
enum class storage_class : std::uint8_t { hdd, sata_ssd, nvme };

/// As written in the configuration: "hdd", "sata_ssd", "nvme".
[[nodiscard]] char const* to_string(storage_class cls) noexcept;
/// As shown to people: "HDD", "SATA SSD", "NVMe".
[[nodiscard]] char const* display_name(storage_class cls) noexcept;
/// The reverse of to_string(); nothing for any other text.
[[nodiscard]] std::optional<storage_class> parse_storage_class(std::string_view text) noexcept;

/// A decision and why it was taken.
struct storage_class_decision {
    storage_class cls = storage_class::hdd;
    std::string evidence; ///< for a log line, to follow "because": for example "sda/queue/rotational=1"
};

/// Decides the class of the disk beneath \p path, a block device or a regular file.
///
/// Never fails: a device about which nothing is known gets the class of the stated rule, and the evidence says so.
/// Reads a few files of sysfs; not for the network thread.
///
/// \param sysfs the root of sysfs, \param mountinfo the mounts as in proc(5); tests give their own.
///
/// From the device down to the disks:
/// - A regular file: the device of its file system (st_dev). Where that is no block device, its mount decides: btrfs,
///   the slowest of its devices (/sys/fs/btrfs); overlay, its upper layer, or its lower one where it is read-only;
///   tmpfs and ramfs, memory; any other, the device that is its source, if it has one.
/// - A partition: its disk. A loop device: its backing file.
/// - dm, md and all else with slaves/: the slowest disk beneath, since a transfer ends with its last part.
///
/// Then the disk, by the bus on which sysfs places it (the `subsystem` of the devices above it), whatever its name:
/// - NVMe, local, multipath or over a fabric, and non-volatile memory (pmem): NVMe, unless queue/rotational is 1.
/// - virtio-blk and Xen: SATA SSD. They say the same rotational whatever lies beneath. Such a disk takes several
///   requests at once, and what is beneath is mostly flash or the host's cache; the threads of NVMe would be a bet.
/// - An SD card: HDD. It says rotational=0 but takes one request at a time and wants long writes.
/// - Any other bus, that is SCSI, ATA, eMMC, USB: queue/rotational, 1 is an HDD and 0 a SATA SSD. USB sticks and most
///   bridges come out as HDD, since the kernel assumes 1 where it cannot ask: right for what takes one request at a
///   time. A USB disk with 0 has told so itself, through UAS.
/// - zram and ram: memory.
///
/// Memory gets NVMe: no request waits for another. All that remains (nbd, rbd, a network file system, a path that
/// cannot be looked at) gets HDD: few threads and long runs cost a fast disk something, many threads cost a slow one
/// most of its rate.
[[nodiscard]] storage_class_decision
detect_storage_class(std::filesystem::path const& path, std::filesystem::path const& sysfs = "/sys",
                     std::filesystem::path const& mountinfo = "/proc/self/mountinfo");

/// The same for a block device that needs no node in /dev: \p device is its kernel name ("sda1") or its number ("8:1").
[[nodiscard]] storage_class_decision
classify_block_device(std::string const& device, std::filesystem::path const& sysfs = "/sys",
                      std::filesystem::path const& mountinfo = "/proc/self/mountinfo");

} // namespace seedbed
