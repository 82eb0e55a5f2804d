#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/device/storage_class.hpp"
#include "core/device/sysfs.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// A physical disk of this machine, as the kernel and udev describe it. A text is empty if it is unknown.
struct disk_facts {
    std::string path;             ///< "/dev/nvme0n1"
    std::int64_t size = 0;        ///< bytes
    std::int64_t sector_size = 0; ///< logical, bytes
    std::string model = {};
    std::vector<std::string> serials = {}; ///< one disk may have several spellings
    std::string wwn = {};
    std::string transport = {}; ///< "nvme", "sata", "scsi", "virtio", "xen", "mmc", "sd", "pmem", "usb", "firewire", or
                                ///< one through a network: "nvme over tcp", "iscsi", "fc"
    storage_class cls = storage_class::hdd;
    bool external = false;  ///< removable, or on a transport that can be unplugged or is behind a network
    bool read_only = false; ///< according to the kernel
    std::string used = {};  ///< why it must not be written: "mounted on /", which includes the boot medium
};

/// Lists the disks of this machine in the order of their paths: neither devices on top of others (loop, dm, md) nor
/// optical drives nor memory. Reads sysfs, udev's files and the mounts once. Threads: any; blocks.
[[nodiscard]] std::vector<disk_facts> list_disks(system_paths const& paths = {});

/// Which disk of a machine to take: conditions that all must hold.
struct disk_rule {
    std::string text; ///< as given
    std::string path; ///< a device or file that is taken as it is; excludes all other members
    bool largest = false;
    bool nvme = false; ///< connected by NVMe, whatever its class
    std::optional<storage_class> cls = {};
    bool flash = false; ///< any class but HDD
    std::int64_t least = 0;
    std::int64_t most = std::numeric_limits<std::int64_t>::max(); ///< bytes, included
    std::string serial = {};                                      ///< equal to one of the disk's
    std::string wwn = {};                                         ///< equal, ignoring case
    std::string model = {};                                       ///< part of the disk's, ignoring case

    friend bool operator==(disk_rule const&, disk_rule const&) = default;
};

/// Parses a path that starts with "/", or terms separated by commas:
///
/// - "auto": no condition;
/// - "largest": of the disks that meet the other conditions;
/// - "nvme", "ssd" (also NVMe), "hdd";
/// - "200G..600G", "200G..", "..600G": the size, both ends included. K, M, G and T are powers of 1000, as printed on
///   disks; KiB, MiB, GiB and TiB are powers of 1024;
/// - "serial=TEXT", "wwn=TEXT", "model=TEXT" (part of the model).
///
/// Only internal disks match, except by serial number and WWN. The error quotes the term.
[[nodiscard]] result<disk_rule> parse_disk_rule(std::string_view text);

/// Why the image does not fit a disk, without the disk's name; nothing if it fits.
using disk_fit = std::function<std::optional<std::string>(disk_facts const&)>;
/// A disk must have \p bytes.
[[nodiscard]] disk_fit at_least(std::int64_t bytes);

/// Finds the only disk that meets the rule, is not in use and is fit. Never guesses: several are refused with their
/// list, and if none matches, the error says why for each disk. Pure. \return the path.
[[nodiscard]] result<std::string> choose_disk(disk_rule const& rule, std::span<disk_facts const> disks,
                                              disk_fit const& why_unfit);

/// "/dev/sda (Samsung SSD 860, serial S3Z8, SATA SSD, 466 GiB)", for messages; printable.
[[nodiscard]] std::string describe(disk_facts const& disk);

} // namespace seedbed
