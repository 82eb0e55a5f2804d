#include "core/device/storage_class.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <fstream>
#include <sstream>
#include <system_error>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <sys/stat.h>

#include "core/device/sysfs.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

struct class_names {
    storage_class cls;
    char const* key;
    char const* display;
};
constexpr std::array all_classes{
    class_names{storage_class::hdd, "hdd", "HDD"},
    class_names{storage_class::sata_ssd, "sata_ssd", "SATA SSD"},
    class_names{storage_class::nvme, "nvme", "NVMe"},
};

/// The maximum number of stacked devices; more indicate a cycle of links.
constexpr int max_depth = 16;

storage_class_decision unknown(std::string const& why) {
    return {storage_class::hdd, why + " (unknown, treated as HDD)"};
}

storage_class_decision beneath(std::string const& step, storage_class_decision decision) {
    decision.evidence = step + ", " + decision.evidence;
    return decision;
}

/// A sysfs attribute without its newline; nothing if it cannot be read.
std::optional<std::string> read_attribute(fs::path const& file) {
    auto text = read_file(file);
    if (text && text->ends_with('\n')) {
        text->pop_back();
    }
    return text;
}

/// The targets of a folder's links, sorted by name; empty if the folder does not exist.
std::vector<fs::path> linked_devices(fs::path const& folder) {
    std::vector<fs::path> links;
    std::error_code error;
    for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
        links.push_back(entry->path());
    }
    std::sort(links.begin(), links.end());
    std::vector<fs::path> devices;
    for (auto const& link : links) {
        if (auto device = fs::canonical(link, error); !error) {
            devices.push_back(std::move(device));
        }
    }
    return devices;
}

storage_class_decision by_rotational(fs::path const& disk, std::string const& remark) {
    auto const attribute = disk.filename().string() + "/queue/rotational";
    auto const value = read_attribute(disk / "queue/rotational");
    if (value == "0" || value == "1") {
        return {*value == "0" ? storage_class::sata_ssd : storage_class::hdd, attribute + "=" + *value + remark};
    }
    return unknown(attribute + (value ? "=" + *value : " is missing"));
}

/// Classifies a device with nothing beneath it; see the rules at detect_storage_class().
storage_class_decision classify_disk(fs::path const& disk) {
    auto const name = disk.filename().string();
    auto const parents = parents_of(disk);
    if (parents.empty()) {
        if (name.starts_with("zram") || name.starts_with("ram")) {
            return {storage_class::nvme, name + " is in memory"};
        }
        return unknown(name + " has no disk beneath it");
    }
    auto const& [folder, bus] = parents.front();
    auto const place = name + " is on " + bus + " (" + folder.filename().string() + ")";
    if (bus == "nvme" || bus == "nvme-subsystem" || bus == "nd") {
        return read_attribute(disk / "queue/rotational") == "1" ? by_rotational(disk, " on " + bus)
                                                                : storage_class_decision{storage_class::nvme, place};
    }
    if (bus == "virtio" || bus == "xen") {
        return {storage_class::sata_ssd, place + ", which does not report its kind (treated as SATA SSD)"};
    }
    if (bus == "mmc" && read_attribute(folder / "type") == "SD") {
        return {storage_class::hdd, name + " is an SD card (treated as HDD)"};
    }
    auto const usb = std::any_of(parents.begin(), parents.end(), [](auto const& p) { return p.subsystem == "usb"; });
    return by_rotational(disk, usb ? " on usb" : "");
}

std::vector<std::string> split(std::string const& text, char separator) {
    std::vector<std::string> parts;
    std::istringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) {
        parts.push_back(part);
    }
    return parts;
}

struct mount {
    std::string type;
    std::string source;
    std::vector<std::string> options; ///< of the superblock
};

/// Decodes blanks and the like, which are written as a backslash with three octal digits.
std::string unescape_mount_field(std::string const& text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto const digits = text.substr(i + 1, 3);
        if (text[i] == '\\' && digits.size() == 3 && digits.find_first_not_of("01234567") == std::string::npos) {
            out += static_cast<char>(std::stoi(digits, nullptr, 8));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

/// The line of \p mountinfo with this id: "ID PARENT MAJ:MIN ROOT POINT OPTIONS [TAG]... - TYPE SOURCE OPTIONS".
std::optional<mount> find_mount(fs::path const& mountinfo, std::uint64_t id) {
    std::ifstream stream(mountinfo);
    for (std::string line; std::getline(stream, line);) {
        auto const fields = split(line, ' ');
        auto const dash = std::find(fields.begin(), fields.end(), "-");
        if (!fields.empty() && fields.front() == std::to_string(id) && std::distance(dash, fields.end()) >= 4) {
            return mount{dash[1], unescape_mount_field(dash[2]), split(unescape_mount_field(dash[3]), ',')};
        }
    }
    return std::nullopt;
}

/// The value of a mount option "key=value"; empty if it is not set.
std::string option_value(mount const& from, std::string const& key) {
    for (auto const& option : from.options) {
        if (option.starts_with(key + "=")) {
            return option.substr(key.size() + 1);
        }
    }
    return {};
}

class detector {
public:
    detector(fs::path const& sysfs, fs::path const& mountinfo)
        : m_sysfs(sysfs)
        , m_mountinfo(mountinfo) {}

    [[nodiscard]] storage_class_decision classify_path(fs::path const& path, int depth) const {
        struct statx status {};
        if (depth > max_depth) {
            return unknown(path.string() + " is stacked on itself");
        }
        if (::statx(AT_FDCWD, path.c_str(), 0, STATX_TYPE | STATX_MNT_ID, &status) != 0) {
            return unknown(path.string() + ": " + std::generic_category().message(errno));
        }
        if (S_ISBLK(status.stx_mode)) {
            return classify_device(number(status.stx_rdev_major, status.stx_rdev_minor), depth);
        }
        if (!S_ISREG(status.stx_mode) && !S_ISDIR(status.stx_mode)) {
            return unknown(path.string() + " is neither a block device nor a file");
        }
        if (auto const device = find_device(number(status.stx_dev_major, status.stx_dev_minor))) {
            return on_file_system(*device, depth);
        }
        auto const mount =
            (status.stx_mask & STATX_MNT_ID) != 0 ? find_mount(m_mountinfo, status.stx_mnt_id) : std::nullopt;
        return mount ? classify_mount(*mount, depth) : unknown(path.string() + " is on no known mount");
    }

    /// \param device a kernel name or "MAJOR:MINOR".
    [[nodiscard]] storage_class_decision classify_device(std::string const& device, int depth) const {
        auto const folder = find_device(device);
        return folder ? classify_folder(*folder, depth)
                      : unknown("no block device " + device + " in " + m_sysfs.string());
    }

private:
    static std::string number(std::uint32_t major, std::uint32_t minor) {
        return std::to_string(major) + ":" + std::to_string(minor);
    }

    /// The folder of a block device in sysfs, all links resolved.
    [[nodiscard]] std::optional<fs::path> find_device(std::string device) const {
        std::error_code error;
        auto const by_number = device.find(':') != std::string::npos;
        std::replace(device.begin(), device.end(), '/', '!'); // sysfs spells cciss/c0d0 with "!"
        auto folder = fs::canonical(m_sysfs / (by_number ? "dev/block" : "class/block") / device, error);
        return error ? std::nullopt : std::optional(std::move(folder));
    }

    [[nodiscard]] storage_class_decision classify_folder(fs::path const& device, int depth) const {
        auto const name = device.filename().string();
        if (depth > max_depth) {
            return unknown(name + " is stacked on itself");
        }
        std::error_code error;
        if (fs::exists(device / "partition", error)) {
            return classify_folder(device.parent_path(), depth + 1);
        }
        if (auto const file = read_attribute(device / "loop/backing_file")) {
            return beneath(name + "/loop/backing_file=" + *file, classify_path(*file, depth + 1));
        }
        if (auto const slaves = linked_devices(device / "slaves"); !slaves.empty()) {
            return slowest(name + "/slaves/", slaves, depth + 1);
        }
        return classify_disk(device);
    }

    /// Classifies by the slowest device. \param devices at least one; the first of the slowest is the evidence, named
    /// after \p prefix.
    [[nodiscard]] storage_class_decision slowest(std::string const& prefix, std::vector<fs::path> const& devices,
                                                 int depth) const {
        storage_class_decision found;
        for (auto const& device : devices) {
            auto decision = classify_folder(device, depth);
            if (found.evidence.empty() || decision.cls < found.cls) {
                found = beneath(prefix + device.filename().string(), std::move(decision));
            }
        }
        return found;
    }

    [[nodiscard]] storage_class_decision on_file_system(fs::path const& device, int depth) const {
        return beneath("file system on " + device.filename().string(), classify_folder(device, depth + 1));
    }

    /// Classifies a file system whose st_dev is not a block device.
    [[nodiscard]] storage_class_decision classify_mount(mount const& from, int depth) const {
        if (from.type == "tmpfs" || from.type == "ramfs" || from.type == "rootfs") {
            return {storage_class::nvme, "file system " + from.type + " is in memory"};
        }
        if (from.type == "overlay") {
            auto layer = option_value(from, "upperdir");
            if (layer.empty()) {
                auto const all = option_value(from, "lowerdir");
                layer = all.substr(0, all.find(':'));
            }
            return beneath("overlay on " + layer, classify_path(layer, depth + 1));
        }
        auto const device = find_source(from.source);
        if (!device) {
            return unknown("file system " + from.type + " is not on a block device");
        }
        for (auto const& devices : btrfs_file_systems()) {
            if (std::find(devices.begin(), devices.end(), *device) != devices.end()) {
                return slowest("file system btrfs on ", devices, depth + 1);
            }
        }
        return on_file_system(*device, depth);
    }

    /// The device that a mount names; looked up by name if /dev has no node for it, as in a chroot.
    [[nodiscard]] std::optional<fs::path> find_source(std::string const& source) const {
        struct statx status {};
        if (::statx(AT_FDCWD, source.c_str(), 0, STATX_TYPE, &status) == 0 && S_ISBLK(status.stx_mode)) {
            return find_device(number(status.stx_rdev_major, status.stx_rdev_minor));
        }
        constexpr std::string_view dev = "/dev/";
        return source.starts_with(dev) ? find_device(source.substr(dev.size())) : std::nullopt;
    }

    /// The devices of each mounted btrfs, from /sys/fs/btrfs/UUID/devices/.
    [[nodiscard]] std::vector<std::vector<fs::path>> btrfs_file_systems() const {
        std::vector<std::vector<fs::path>> all;
        std::error_code error;
        for (fs::directory_iterator entry(m_sysfs / "fs/btrfs", error), end; !error && entry != end;
             entry.increment(error)) {
            all.push_back(linked_devices(entry->path() / "devices"));
        }
        return all;
    }

    fs::path const& m_sysfs;
    fs::path const& m_mountinfo;
};

} // namespace

char const* to_string(storage_class cls) noexcept {
    return all_classes[static_cast<std::size_t>(cls)].key;
}

char const* display_name(storage_class cls) noexcept {
    return all_classes[static_cast<std::size_t>(cls)].display;
}

std::optional<storage_class> parse_storage_class(std::string_view text) noexcept {
    for (auto const& names : all_classes) {
        if (text == names.key) {
            return names.cls;
        }
    }
    return std::nullopt;
}

storage_class_decision detect_storage_class(fs::path const& path, fs::path const& sysfs, fs::path const& mountinfo) {
    return detector(sysfs, mountinfo).classify_path(path, 0);
}

storage_class_decision classify_block_device(std::string const& device, fs::path const& sysfs,
                                             fs::path const& mountinfo) {
    return detector(sysfs, mountinfo).classify_device(device, 0);
}

} // namespace seedbed
