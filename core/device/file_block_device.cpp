#include "core/device/file_block_device.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <system_error>
#include <utility>

#include "core/device/device_guards.hpp"
#include "core/device/device_stack.hpp"
#include "core/device/disk_content.hpp"
#include "core/device/opened_device.hpp"
#include "core/device/range_lock.hpp"
#include "core/device/sysfs.hpp"
#include "core/foundation/format_count.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

tl::unexpected<device_refusal> refuse(device_guard guard, std::string const& path, std::string const& reason) {
    return tl::make_unexpected(device_refusal{guard, path + ": " + reason});
}

tl::unexpected<device_refusal> refuse(device_guard guard, std::string const& path, int code) {
    return tl::make_unexpected(device_refusal{guard, errno_error(path, code).message});
}

/// A path that was inspected and opened read-only, which disturbs no other user of the device.
struct looked_at {
    unique_fd fd;
    struct ::stat st = {};
    device_geometry geometry;
};

/// Fills \p geometry from an open file. \return 0 or errno.
int read_geometry(looked_at const& device, device_geometry& geometry) {
    int const fd = device.fd.get();
    geometry.is_block_device = S_ISBLK(device.st.st_mode);
    if (geometry.is_block_device) {
        std::uint64_t size = 0;
        int logical = 0;
        unsigned physical = 0;
        int read_only = 0;
        if (::ioctl(fd, BLKGETSIZE64, &size) != 0 || ::ioctl(fd, BLKSSZGET, &logical) != 0 ||
            ::ioctl(fd, BLKPBSZGET, &physical) != 0 || ::ioctl(fd, BLKROGET, &read_only) != 0) {
            return errno;
        }
        geometry.size = static_cast<std::int64_t>(size);
        geometry.logical_block_size = logical;
        geometry.physical_block_size = static_cast<int>(physical);
        geometry.read_only = read_only != 0;
        return 0;
    }

    geometry.size = device.st.st_size;
    geometry.physical_block_size = static_cast<int>(device.st.st_blksize);
    geometry.logical_block_size = geometry.physical_block_size;
    struct ::statx stx = {};
    if (::statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &stx) == 0 && (stx.stx_mask & STATX_DIOALIGN) != 0 &&
        stx.stx_dio_offset_align != 0) {
        geometry.logical_block_size = static_cast<int>(stx.stx_dio_offset_align);
    }
    return 0;
}

char const* type_name(mode_t mode) {
    if (S_ISDIR(mode)) {
        return "a folder";
    }
    if (S_ISCHR(mode)) {
        return "a character device";
    }
    if (S_ISFIFO(mode)) {
        return "a named pipe";
    }
    return S_ISSOCK(mode) ? "a socket" : "a special file";
}

bool same_file(struct ::stat const& a, struct ::stat const& b) {
    if (S_ISBLK(a.st_mode) || S_ISBLK(b.st_mode)) {
        return S_ISBLK(a.st_mode) && S_ISBLK(b.st_mode) && a.st_rdev == b.st_rdev;
    }
    return a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

result<looked_at, device_refusal> look_at(std::string const& path) {
    looked_at device;
    // Check before opening, because opening a pipe blocks and opening a tape rewinds it.
    if (::stat(path.c_str(), &device.st) != 0) {
        return refuse(device_guard::missing, path, errno);
    }
    if (!S_ISBLK(device.st.st_mode) && !S_ISREG(device.st.st_mode)) {
        return refuse(device_guard::wrong_type, path,
                      std::string(type_name(device.st.st_mode)) + ", neither a block device nor a regular file");
    }
    device.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!device.fd) {
        return refuse(device_guard::missing, path, errno);
    }
    struct ::stat opened = {};
    if (::fstat(device.fd.get(), &opened) != 0) {
        return refuse(device_guard::missing, path, errno);
    }
    if (!same_file(device.st, opened)) {
        return refuse(device_guard::missing, path, "was replaced while it was being opened");
    }
    device.st = opened;
    if (int const code = read_geometry(device, device.geometry); code != 0) {
        return refuse(device_guard::wrong_type, path, code);
    }
    if (!device.geometry.is_block_device) {
        device.geometry.read_only = ::faccessat(AT_FDCWD, path.c_str(), W_OK, AT_EACCESS) != 0;
    }
    return device;
}

/// Checks that it is the device that the configuration names.
result<void, device_refusal> check_identity(std::string const& path, looked_at const& device,
                                            device_requirements const& requirements) {
    if (requirements.serial) {
        if (!device.geometry.is_block_device) {
            return refuse(device_guard::wrong_identity, path,
                          "a regular file has no serial number; expected \"" + *requirements.serial + "\"");
        }
        auto const serials = device_serials(device.st.st_rdev);
        if (serials.empty()) {
            return refuse(device_guard::wrong_identity, path,
                          "no known serial number; expected \"" + *requirements.serial + "\"");
        }
        if (std::ranges::find(serials, *requirements.serial) == serials.end()) {
            return refuse(device_guard::wrong_identity, path,
                          "its serial number is \"" + serials.front() + "\"; expected \"" + *requirements.serial +
                              "\"");
        }
    }
    if (requirements.size && *requirements.size != device.geometry.size) {
        return refuse(device_guard::wrong_identity, path,
                      "its size is " + format_count(device.geometry.size, "byte") + "; expected " +
                          std::to_string(*requirements.size));
    }
    return {};
}

/// The device's name below /dev, for a message.
std::string name_of(dev_t device) {
    auto const folder = sysfs_folder(device, system_paths{}.sysfs);
    return folder.empty() ? number_pair(device) : folder.filename().string();
}

/// The command that detaches a device from those below it. \param name the kernel's: "loop3", "md0", "dm-0".
std::string how_to_detach(std::string const& name) {
    if (name.starts_with("loop")) {
        return "losetup -d /dev/" + name;
    }
    if (name.starts_with("md")) {
        return "mdadm --stop /dev/" + name;
    }
    return "vgchange -an, cryptsetup close or dmsetup remove for " + name;
}

/// Checks that neither the device nor anything that shares its bytes is in use. A device on top is a user even while no
/// program has it open: any program may open it at any moment, and its page cache would hide or overwrite the image.
/// \param related the block devices that are part of it, or of which it is part; empty for a regular file. \return
/// whether one of these is mounted, if that is allowed; the device can then not be opened exclusively.
result<bool, device_refusal> check_in_use(std::string const& path, device_stack const& stack,
                                          std::vector<dev_t> const& related, device_requirements const& requirements) {
    if (auto const swap = find_swap(stack)) {
        return refuse(device_guard::swap, path, "in use as swap space (" + *swap + ")");
    }
    auto const mounted = find_mounted(stack);
    auto const itself = mounted && stack.front().id == storage_id{true, mounted->device, 0};
    auto const is_related = mounted && std::ranges::find(related, mounted->device) != related.end();
    if (mounted && (requirements.writable || (mounted->writable && !requirements.allow_mounted))) {
        auto const how = std::string(requirements.writable ? "mounted on " : "mounted read-write on ");
        auto const* const before = itself || !is_related ? "" : "a part of it or the disk it is on is ";
        auto const after = is_related ? "" : " through " + name_of(mounted->device) + "; unmount it first";
        return refuse(device_guard::mounted, path, before + how + mounted->mount_point + after);
    }
    auto const above = requirements.writable ? devices_above(stack) : std::vector<stacked_device>{};
    if (!above.empty()) {
        std::string names;
        std::string commands;
        for (auto const& device : above) {
            names += (names.empty() ? "" : ", ") + device.name;
            commands += (commands.empty() ? "" : "; ") + how_to_detach(device.name);
        }
        return refuse(device_guard::held, path,
                      "held by other devices on the same bytes (" + names + "); detach them first (" + commands + ")");
    }
    return is_related;
}

/// Checks that the device meets the needs of the image.
result<void, device_refusal> check_capability(std::string const& path, device_geometry const& geometry,
                                              device_requirements const& requirements) {
    if (requirements.writable && geometry.read_only) {
        return refuse(device_guard::read_only, path, "read-only");
    }
    if (geometry.size < requirements.min_size) {
        return refuse(device_guard::too_small, path,
                      "too small: it has " + format_count(geometry.size, "byte") + ", the image needs " +
                          std::to_string(requirements.min_size));
    }
    if (requirements.direct_io_alignment > 0 && requirements.direct_io_alignment % geometry.logical_block_size != 0) {
        return refuse(device_guard::sector_size, path,
                      "direct I/O needs extents in multiples of its sectors of " +
                          std::to_string(geometry.logical_block_size) + " bytes; the image's are multiples of " +
                          std::to_string(requirements.direct_io_alignment));
    }
    return {};
}

/// Checks that the device is of the kind for which the image was made.
result<void, device_refusal> check_kind(std::string const& path, looked_at const& device,
                                        device_requirements const& requirements) {
    if (!requirements.writable || !requirements.image || requirements.allow_mismatch) {
        return {};
    }
    auto const& image = *requirements.image;
    target_traits target;
    if (device.geometry.is_block_device) {
        target.sector_size = device.geometry.logical_block_size;
        auto const folder = sysfs_folder(device.st.st_rdev, system_paths{}.sysfs);
        target.is_partition = is_partition(folder);
        target.has_partitions = !target.is_partition && std::ranges::any_of(subfolders(folder), is_partition);
    }
    if (image.kind != image_kind::disk && !target.is_partition && !target.has_partitions) {
        auto const content = probe_content(path);
        // A GPT counts beside an old file system, too; "dos" may be a file system's boot sector.
        target.has_partitions = content && (content->partition_table == "gpt" ||
                                            (content->type.empty() && !content->partition_table.empty()));
    }
    constexpr auto hint = ", or allow this (allow_mismatch = true, --allow-mismatch)";
    if (auto const why = why_other_kind(image, target);
        why && (image.kind != image_kind::unknown || !requirements.begins_with_image())) {
        return refuse(device_guard::wrong_kind, path, *why + hint);
    }
    if (auto const why = why_other_sectors(image, target)) {
        return refuse(device_guard::sector_size, path, *why + hint);
    }
    return {};
}

/// Waits for writes that others made before the device was ours. The kernel reports a lost page to the next descriptor
/// that asks, even if it was opened later: without this, our first flush would fail because of their writes. Also drops
/// the page cache, because its copy of a lost page is not on the medium. The device's own cache is not flushed:
/// durability of its data was never promised to us.
/// \return 0 or errno.
int settle(int fd) {
    constexpr unsigned all = SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;
    while (::sync_file_range(fd, 0, 0, all) != 0) {
        if (errno != EINTR) {
            return ::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        }
    }
    return 0;
}

device_refusal open_refusal(std::string const& path, std::vector<dev_t> const& related, bool writable, int code) {
    if (code == EBUSY) {
        std::string by;
        for (std::string const& holder : find_holders(related)) {
            by += (by.empty() ? " (" : ", ") + holder;
        }
        return {device_guard::held, path + ": held by another program or device" + (by.empty() ? by : by + ")")};
    }
    if (code == ETXTBSY) {
        return refuse(device_guard::held, path, code).value();
    }
    if (writable && code == EPERM) { // even for root: cgroup v2's device controller
        return refuse(device_guard::read_only, path, "writing is not permitted; a service needs DeviceAllow=").value();
    }
    return refuse(writable ? device_guard::read_only : device_guard::missing, path, code).value();
}

/// Checks that no device on the same bytes is used exclusively, as it is while a file system on it is mounted in a
/// mount namespace that is not seen here. A device with others on top is used by these, which are on the same bytes,
/// too.
result<void, device_refusal> check_unclaimed(std::string const& path, device_stack const& stack, int fd,
                                             backing_locks const& locks) {
    // A lock is that of another Seedbed, which may read the same bytes through another loop device.
    if (is_locked_elsewhere(fd) ||
        std::ranges::any_of(locks.held, [](auto const& file) { return is_locked_elsewhere(file.get()); })) {
        return {};
    }
    for (auto const& device : devices_above(stack)) {
        auto folder = device.name; // sysfs uses "!" for "/"
        std::ranges::replace(folder, '/', '!');
        if (subfolders(system_paths{}.sysfs / "block" / folder / "holders").empty() &&
            is_claimed("/dev/" + device.name)) {
            return refuse(device_guard::mounted, path,
                          device.name + " is on the same bytes and in use, perhaps mounted in another mount namespace");
        }
    }
    return {};
}

/// Keeps a second Seedbed from using a regular file, or loop devices on it, while \p fd is open.
result<void, device_refusal> lock_file(std::string const& path, int fd, bool writable) {
    // Some file systems have no such locks; flock() is the fallback.
    if (lock_range(fd, writable, 0, std::numeric_limits<std::int64_t>::max()) == EAGAIN) {
        return refuse(device_guard::held, path, "locked by another program");
    }
    while (::flock(fd, (writable ? LOCK_EX : LOCK_SH) | LOCK_NB) != 0) {
        if (errno == EWOULDBLOCK) {
            return refuse(device_guard::held, path, "locked by another program");
        }
        if (errno != EINTR) {
            return refuse(device_guard::held, path, "cannot be locked: " + errno_error("flock", errno).message);
        }
    }
    return {};
}

} // namespace

char const* to_string(device_guard guard) noexcept {
    switch (guard) {
    case device_guard::missing:
        return "missing";
    case device_guard::wrong_type:
        return "wrong_type";
    case device_guard::mounted:
        return "mounted";
    case device_guard::swap:
        return "swap";
    case device_guard::held:
        return "held";
    case device_guard::read_only:
        return "read_only";
    case device_guard::too_small:
        return "too_small";
    case device_guard::sector_size:
        return "sector_size";
    case device_guard::wrong_kind:
        return "wrong_kind";
    case device_guard::wrong_identity:
        return "wrong_identity";
    }
    return "unknown";
}

namespace {

/// A device that has passed every guard that can be checked before it is opened for use.
struct checked_device {
    looked_at device;
    device_stack stack;
    std::vector<dev_t> related; ///< the block devices that are part of it, or of which it is part
    bool mounted = false;       ///< one of these is mounted, and that is allowed
};

result<checked_device, device_refusal> check_guards(std::string const& path, device_requirements const& requirements) {
    auto device = look_at(path);
    if (!device) {
        return tl::make_unexpected(device.error());
    }
    checked_device checked;
    checked.device = std::move(*device);
    if (checked.device.geometry.is_block_device) {
        checked.related = devices_sharing_bytes(checked.device.st.st_rdev);
    }
    if (auto const identity = check_identity(path, checked.device, requirements); !identity) {
        return tl::make_unexpected(identity.error());
    }
    checked.stack = stack_of(checked.device.st);
    auto const mounted = check_in_use(path, checked.stack, checked.related, requirements);
    if (!mounted) {
        return tl::make_unexpected(mounted.error());
    }
    if (auto const capability = check_capability(path, checked.device.geometry, requirements); !capability) {
        return tl::make_unexpected(capability.error());
    }
    if (auto const kind = check_kind(path, checked.device, requirements); !kind) {
        return tl::make_unexpected(kind.error());
    }
    checked.mounted = *mounted;
    return checked;
}

} // namespace

result<void, device_refusal> check_block_device(std::string const& path, device_requirements const& requirements) {
    return check_guards(path, requirements).map([](checked_device const&) {});
}

result<std::unique_ptr<block_device>, device_refusal> open_block_device(std::string const& path,
                                                                        device_requirements const& requirements) {
    auto const checked = check_guards(path, requirements);
    if (!checked) {
        return tl::make_unexpected(checked.error());
    }
    auto const& device = checked->device;
    bool const is_block = device.geometry.is_block_device;

    // O_EXCL decides: it fails if the device was mounted or opened exclusively since the checks above.
    int const access = requirements.writable ? O_RDWR : O_RDONLY;
    bool const exclusive = is_block && !checked->mounted && !requirements.shared;
    unique_fd fd(::open(path.c_str(), access | O_CLOEXEC | (exclusive ? O_EXCL : 0)));
    if (!fd) {
        return tl::make_unexpected(open_refusal(path, checked->related, requirements.writable, errno));
    }
    struct ::stat opened = {};
    if (::fstat(fd.get(), &opened) != 0) {
        return refuse(device_guard::missing, path, errno);
    }
    if (!same_file(device.st, opened)) {
        return refuse(device_guard::missing, path, "was replaced while it was being opened");
    }
    if (!is_block) {
        if (auto const locked = lock_file(path, fd.get(), requirements.writable); !locked) {
            return tl::make_unexpected(locked.error());
        }
    }
    auto locks = requirements.shared
                     ? backing_locks{}
                     : lock_backing(checked->stack, requirements.writable, !find_mounted(checked->stack));
    if (!locks.conflict.empty()) {
        return refuse(device_guard::held, path, locks.conflict);
    }
    if (requirements.unclaimed && !find_mounted(checked->stack)) {
        auto const unclaimed = check_unclaimed(path, checked->stack, fd.get(), locks);
        if (!unclaimed) {
            return tl::make_unexpected(unclaimed.error());
        }
    }
    if (requirements.writable) {
        if (int const code = settle(fd.get()); code != 0) {
            return refuse(device_guard::missing, path, code);
        }
    }
    // By its number, not by its name, which may mean a different file by now.
    auto const again = "/proc/self/fd/" + std::to_string(fd.get());
    unique_fd write_back;
    if (requirements.writable) {
        write_back.reset(::open(again.c_str(), access | O_CLOEXEC));
        if (!write_back) {
            return refuse(device_guard::missing, path, errno);
        }
    }
    unique_fd direct;
    if (requirements.direct_io) {
        // Some file systems refuse it; all transfers then use the page cache.
        direct.reset(::open(again.c_str(), access | O_DIRECT | O_CLOEXEC));
        if (direct) {
            // Only edges use the page cache: data that the kernel reads ahead there would soon be stale.
            static_cast<void>(::posix_fadvise(fd.get(), 0, 0, POSIX_FADV_RANDOM));
        }
    }
    return make_opened_device(path,
                              {std::move(fd), std::move(write_back), std::move(direct), device.geometry.size,
                               device.geometry.logical_block_size, is_block, std::move(locks.held)},
                              requirements.writable);
}

result<device_geometry, device_refusal> query_device_geometry(std::string const& path) {
    auto const device = look_at(path);
    if (!device) {
        return tl::make_unexpected(device.error());
    }
    return device->geometry;
}

} // namespace seedbed
