#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"

namespace seedbed {

/// Magic bytes by which a file system, volume, swap space or partition table is recognised.
struct disk_signature {
    std::string type;             ///< as blkid(8) names it: "ext4", "linux_raid_member", "gpt"
    std::string label = {};       ///< the user's name for it
    bool partition_table = false; ///< otherwise a superblock, in blkid's terms
    std::int64_t offset = 0;      ///< position of the magic bytes
    std::int64_t length = 0;      ///< bytes
    /// The range around the magic bytes, each part of which may be recognised without them: a ZFS label. Otherwise 0.
    std::int64_t area_offset = 0;
    std::int64_t area_length = 0; ///< bytes
};

/// The content that libblkid recognises on a device. A text is empty if libblkid found no such value.
struct disk_content {
    std::string type = {};  ///< of file system, volume, swap space, as blkid(8) names it ("ext4"); empty if ambiguous
    std::string label = {}; ///< the user's name for it
    std::string uuid = {};
    std::string partition_table = {}; ///< "gpt" or "dos"
    std::string partition_uuid = {};  ///< of the device itself if it is a partition, from its disk's table
    /// Everything recognised, even if libblkid prefers another: remains of earlier contents, for example.
    std::vector<disk_signature> signatures = {};
    bool ambiguous = false; ///< several are recognised and none is preferred: it is unknown which is valid
};

/// A range of a device. Bytes; a size of 0 reaches to the end.
struct device_part {
    std::int64_t offset = 0;
    std::int64_t size = 0;
};

/// Probes a device, or a part of it, such as a partition. \param path block device or regular file; read through the
/// page cache, a few KiB. The error is one line "PATH: reason". Threads: any; blocks.
[[nodiscard]] result<disk_content> probe_content(std::string const& path, device_part const& part = {});

/// Every signature on a device with all its copies, such as a GPT's second header, even those with a wrong checksum.
/// Each of ZFS's four labels is one signature, even without an uberblock, which libblkid requires. Reads only. Errors
/// and threads as probe_content().
[[nodiscard]] result<std::vector<disk_signature>> find_signatures(std::string const& path);

/// The reason of a failed probe, without \p path.
[[nodiscard]] std::string reason_without_path(error const& failed, std::string const& path);

/// The types of \p signatures, each once: "ntfs, btrfs".
[[nodiscard]] std::string signature_types(std::span<disk_signature const> signatures);

} // namespace seedbed
