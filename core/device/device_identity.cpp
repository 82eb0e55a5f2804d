#include "core/device/device_identity.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <iterator>

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "core/device/sysfs.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

std::string read_line(fs::path const& path) {
    return trimmed(read_text(path));
}

std::optional<std::int64_t> to_number(std::string const& text) {
    std::int64_t value = 0;
    auto const [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
    return ec == std::errc{} && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

std::int64_t nanoseconds(struct statx_timestamp const& time) {
    return time.tv_sec * 1'000'000'000 + time.tv_nsec;
}

/// Reads the file `stat` of a device (Documentation/block/stat.rst): its 7th number is sectors written, its 14th
/// sectors discarded.
std::int64_t count_sectors_written(fs::path const& folder, fs::path const& disk) {
    if (read_line(disk / "queue" / "iostats") != "1") {
        return -1;
    }
    std::ifstream in(folder / "stat");
    std::vector<std::int64_t> const numbers{std::istream_iterator<std::int64_t>(in), {}};
    if (numbers.size() < 7) {
        return -1;
    }
    return numbers[6] + (numbers.size() > 13 ? numbers[13] : 0);
}

bool share_serial(device_identity const& a, device_identity const& b) {
    return std::ranges::any_of(
        a.serials, [&](auto const& serial) { return std::ranges::find(b.serials, serial) != b.serials.end(); });
}

bool same_boot(device_identity const& a, device_identity const& b) {
    return !a.boot.empty() && a.boot == b.boot;
}

} // namespace

device_identity identify_block_device(dev_t device, system_paths const& paths) {
    device_identity into;
    into.block_device = true;
    into.serials = device_serials(device, paths);
    into.boot = read_line(paths.boot_id);
    auto const folder = sysfs_folder(device, paths.sysfs);
    if (folder.empty()) {
        return into;
    }
    auto const partition = is_partition(folder);
    auto const disk = partition ? folder.parent_path() : folder;
    into.size = to_number(read_line(folder / "size")).value_or(0) * sysfs_sector;
    into.start = partition ? to_number(read_line(folder / "start")).value_or(0) * sysfs_sector : 0;
    into.disk_sequence = static_cast<std::uint64_t>(to_number(read_line(disk / "diskseq")).value_or(0));
    into.sectors_written = count_sectors_written(folder, disk);
    into.disk_sectors_written = count_sectors_written(disk, disk);
    if (auto const backing = loop_backing_file(disk); !backing.empty()) {
        struct ::stat file = {};
        if (::stat(backing.c_str(), &file) == 0 && S_ISREG(file.st_mode)) {
            into.changed = file.st_mtim.tv_sec * 1'000'000'000 + file.st_mtim.tv_nsec;
        }
    }
    return into;
}

result<device_identity> identify_device(std::string const& path, system_paths const& paths) {
    struct ::statx found = {};
    constexpr unsigned wanted = STATX_BASIC_STATS | STATX_BTIME;
    if (::statx(AT_FDCWD, path.c_str(), 0, wanted, &found) != 0) {
        return tl::unexpected(errno_error(path, errno));
    }
    if (S_ISBLK(found.stx_mode)) {
        return identify_block_device(makedev(found.stx_rdev_major, found.stx_rdev_minor), paths);
    }
    device_identity identity;
    identity.size = static_cast<std::int64_t>(found.stx_size);
    identity.file_system = makedev(found.stx_dev_major, found.stx_dev_minor);
    identity.inode = found.stx_ino;
    identity.born = (found.stx_mask & STATX_BTIME) != 0 ? nanoseconds(found.stx_btime) : 0;
    identity.changed = nanoseconds(found.stx_mtime);
    return identity;
}

std::optional<std::string> why_other_device(device_identity const& then, device_identity const& now) {
    if (then.block_device != now.block_device) {
        return now.block_device ? "it is a block device now" : "it is no longer a block device";
    }
    if (then.size != now.size) {
        return "its size was " + std::to_string(then.size) + " bytes and is " + std::to_string(now.size);
    }
    if (!now.block_device) {
        auto const same =
            then.inode == now.inode && then.born == now.born && (now.born != 0 || then.file_system == now.file_system);
        return same ? std::nullopt : std::optional<std::string>("it is another file");
    }
    if (then.start != now.start) {
        return "it is at another place on its disk";
    }
    if (!then.serials.empty() && !now.serials.empty()) {
        return share_serial(then, now) ? std::nullopt
                                       : std::optional("its disk has the serial number " + now.serials.front() +
                                                       " instead of " + then.serials.front());
    }
    if (same_boot(then, now) && then.disk_sequence != 0 && then.disk_sequence == now.disk_sequence) {
        return std::nullopt;
    }
    return same_boot(then, now) && then.disk_sequence != 0 ? "it is another disk"
                                                           : "it has no serial number that identifies it";
}

device_change changed_since(device_identity const& then, device_identity const& now) {
    if (then.changed != now.changed) {
        return device_change::written;
    }
    if (!now.block_device) {
        return device_change::none;
    }
    auto const counted = then.sectors_written >= 0 && now.sectors_written >= 0 && then.disk_sectors_written >= 0 &&
                         now.disk_sectors_written >= 0;
    if (!counted || !same_boot(then, now) || then.disk_sequence == 0 || then.disk_sequence != now.disk_sequence) {
        return device_change::unknown;
    }
    if (then.sectors_written != now.sectors_written) {
        return device_change::written;
    }
    return then.disk_sectors_written == now.disk_sectors_written ? device_change::none : device_change::unknown;
}

} // namespace seedbed
