#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "core/device/block_device.hpp"
#include "core/device/image_fit.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// Why a device was refused; the exit status and the tests tell the guards apart by it.
enum class device_guard {
    missing,       ///< no such path, or no permission to look
    wrong_type,    ///< neither block device nor regular file (or, for /dev/full and its like, a character device)
    mounted,       ///< mounted (deploy), or mounted read-write (seed)
    swap,          ///< in use as swap space
    held,          ///< held by another: O_EXCL gives EBUSY (dm, md, another daemon), or a loop device stands on it
    read_only,     ///< BLKROGET or the permissions say that it can not be written
    too_small,     ///< ends before the image's last extent
    sector_size,   ///< its sectors are not those of the image's content, or, if direct I/O was asked for, they do not
                   ///< divide the image's extents
    wrong_kind,    ///< a disk with partitions for a partition's image, or a partition for a disk's
    wrong_identity ///< serial or size is not what the configuration names
};

/// The guard's name, for example "too_small".
[[nodiscard]] char const* to_string(device_guard guard) noexcept;

struct device_refusal {
    device_guard guard = device_guard::missing;
    std::string message; ///< one line: "DEVICE: reason"
};

/// What a device must be before it is opened.
struct device_requirements {
    bool writable = false;      ///< deploy: read and write; otherwise the device is opened read-only
    std::int64_t min_size = 0;  ///< bytes: the end of the image's last extent
    bool allow_mounted = false; ///< seed although it is mounted read-write
    /// Only to look at it: others may hold it and have it open, also to write (a regular file excepted that a Seedbed
    /// deploys to).
    bool shared = false;
    std::optional<std::string> serial = {};
    std::optional<std::int64_t> size = {};
    image_traits image = {};     ///< deploy: refuse a target of another kind, or with other sectors
    bool allow_mismatch = false; ///< do not
    /// Transfers of whole pages go past the page cache where the device allows it.
    bool direct_io = false;
    /// The greatest power of two that divides every extent's offset and length, where direct I/O is asked for; 0 = not
    /// asked.
    std::int64_t direct_io_alignment = 0;
};

/// Opens \p path as a device after every guard has passed; opening writes nothing of ours. To deploy it waits until
/// what others have left in the page cache is on the device, or lost.
///
/// A block device is opened with O_EXCL (deploy, and seed unless it is mounted and that is allowed, or it is shared),
/// so that the kernel keeps file systems, dm and md away while it is open. A regular file is locked (flock) against a
/// second Seedbed: exclusively to write, shared to seed; it must exist and never grows. So are the bytes of a loop
/// device in its backing file. A device or file counts as mounted, or as swap, when anything is that shares bytes with
/// it: its partitions, its disk, loop devices and what stands on them. It is not written while a loop device, dm or md
/// stands on it. Any failure is one line and no write. Thread: any but the network's.
[[nodiscard]] result<std::unique_ptr<block_device>, device_refusal>
open_block_device(std::string const& path, device_requirements const& requirements);

/// Whether every guard would pass that can be asked without taking the device: all but that another program or device
/// holds it, which only the opening tells. Needs no more than read permission.
[[nodiscard]] result<void, device_refusal> check_block_device(std::string const& path,
                                                              device_requirements const& requirements);

/// What `seedbed probe` shows of a device; needs no more than read permission.
struct device_geometry {
    std::int64_t size = 0;       ///< bytes
    int logical_block_size = 0;  ///< bytes; for a regular file what its file system wants of direct I/O, or its block
    int physical_block_size = 0; ///< bytes
    bool is_block_device = false;
    bool read_only = false;
};
[[nodiscard]] result<device_geometry, device_refusal> query_device_geometry(std::string const& path);

} // namespace seedbed
