#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "core/device/block_device.hpp"
#include "core/device/image_fit.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// Why a device was refused; the exit status and the tests distinguish the guards by it.
enum class device_guard {
    missing,       ///< no such path, or no permission to look
    wrong_type,    ///< neither block device nor regular file (a character device such as /dev/full, for example)
    mounted,       ///< mounted (deploy), or mounted read-write (seed)
    swap,          ///< in use as swap space
    held,          ///< held by another: O_EXCL fails (EBUSY: dm, md, another daemon), or a loop device is on top of it
    read_only,     ///< read-only according to BLKROGET or the permissions
    too_small,     ///< ends before the image's last extent
    sector_size,   ///< its sectors do not suit the image's content, or, with direct I/O required, do not
                   ///< divide the image's extents
    wrong_kind,    ///< a disk with partitions for an image that may be of one, or a partition for a disk's image
    wrong_identity ///< serial or size is not what the configuration names
};

/// The guard's name, for example "too_small".
[[nodiscard]] char const* to_string(device_guard guard) noexcept;

struct device_refusal {
    device_guard guard = device_guard::missing;
    std::string message; ///< one line: "DEVICE: reason"
};

/// The conditions that a device must meet before it is opened.
struct device_requirements {
    bool writable = false;      ///< deploy: read and write; otherwise the device is opened read-only
    std::int64_t min_size = 0;  ///< bytes: the end of the image's last extent
    bool allow_mounted = false; ///< seed even if it is mounted read-write
    /// Only for examining it: others may hold it and have it open, even for writing (except a regular file to which
    /// another Seedbed is deploying).
    bool shared = false;
    /// Refuses a source if something uses a device on the same bytes exclusively, as a file system does that is mounted
    /// in another mount namespace. Opens such devices exclusively for a moment: not for a daemon, whose images may read
    /// the same file through several loop devices and open them at the same time.
    bool unclaimed = false;
    std::optional<std::string> serial = {};
    std::optional<std::int64_t> size = {};
    std::optional<image_traits> image = {}; ///< deploy: refuse a target of another kind or with other sectors
    bool allow_mismatch = false;            ///< accept such a target
    /// Whether the device begins with the image, whose partition table it then is. Asked only about a disk with
    /// partitions, for an image of which neither kind nor content is known.
    std::function<bool()> begins_with_image = [] { return false; };
    /// Transfers of whole pages bypass the page cache if the device allows it.
    bool direct_io = false;
    /// The greatest power of two that divides every extent's offset and length, if direct I/O is required; 0 = not
    /// required.
    std::int64_t direct_io_alignment = 0;
};

/// Opens \p path as a device after every guard has passed. Opening writes none of our data; a deployment first waits
/// until the data that others left in the page cache is on the device, or lost.
///
/// A block device is opened with O_EXCL (deploy; and seed unless it is mounted and that is allowed, or it is shared),
/// so that the kernel prevents its use by file systems, dm and md while it is open. A regular file is locked against a
/// second Seedbed (fcntl(2) and flock(2)): exclusively for writing, shared for seeding; it must exist and never grows.
/// So are the bytes of a loop device in its backing file. A device or file counts as mounted, or as swap, if anything
/// that shares bytes with it is: its partitions, its disk, loop devices and everything on top of them. It is not opened
/// for writing while a loop device, dm or md is on top of it. Any failure is one line, and nothing is written. Thread:
/// any but the network's.
[[nodiscard]] result<std::unique_ptr<block_device>, device_refusal>
open_block_device(std::string const& path, device_requirements const& requirements);

/// Checks every guard that can be checked without opening the device exclusively. Only the opening shows whether
/// another program or device holds it. Needs no more than read permission.
[[nodiscard]] result<void, device_refusal> check_block_device(std::string const& path,
                                                              device_requirements const& requirements);

/// The geometry of a device, as `seedbed probe` shows it; needs no more than read permission.
struct device_geometry {
    std::int64_t size = 0;       ///< bytes
    int logical_block_size = 0;  ///< bytes; for a regular file the unit of direct I/O on its file system, or its block
    int physical_block_size = 0; ///< bytes
    bool is_block_device = false;
    bool read_only = false;
};
[[nodiscard]] result<device_geometry, device_refusal> query_device_geometry(std::string const& path);

} // namespace seedbed
