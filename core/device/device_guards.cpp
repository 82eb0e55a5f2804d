#include "core/device/device_guards.hpp"

#include <algorithm>
#include <cstddef>
#include <fstream>
#include <iterator>
#include <string_view>

#include <boost/algorithm/string/split.hpp>

#include "core/device/sysfs.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

/// Decodes the kernel's octal escapes of blank, tab, newline and backslash ("\040").
std::string unescape(std::string_view text) {
    auto const octal = [](char c) { return c >= '0' && c <= '7'; };
    std::string plain;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 3 < text.size() && octal(text[i + 1]) && octal(text[i + 2]) && octal(text[i + 3])) {
            plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            plain += text[i];
        }
    }
    return plain;
}

/// One line of mountinfo: "36 35 8:1 / /mnt rw,noatime shared:1 - ext4 /dev/sda1 rw,errors=continue", proc(5): any
/// number of optional fields, then a dash, type, source, and the options of the file system, the first of which is ro
/// or rw.
struct mount_line {
    dev_t device = 0;
    std::string mount_point;
    std::string source;
    bool writable = false;
};

std::optional<mount_line> parse_mount(std::string const& line) {
    std::vector<std::string> fields; // a source may be empty
    boost::split(fields, line, [](char c) { return c == ' '; });
    constexpr std::ptrdiff_t optional_fields = 6;
    auto const first = fields.begin() + std::min(optional_fields, std::ssize(fields));
    auto const dash = std::find(first, fields.end(), "-");
    if (fields.end() - dash < 4) {
        return std::nullopt;
    }
    auto const device = parse_number_pair(fields[2]);
    if (!device) {
        return std::nullopt;
    }
    auto const& options = dash[3];
    return mount_line{*device, unescape(fields[4]), unescape(dash[2]), options != "ro" && !options.starts_with("ro,")};
}

/// Finds a mounted btrfs of which any member shares bytes with \p stack. A mount names only one of its devices as the
/// source.
std::optional<mounted_file_system> find_btrfs_member(device_stack const& stack, system_paths const& paths) {
    for (auto const& file_system : subfolders(paths.sysfs / "fs" / "btrfs")) {
        for (auto const& member : subfolders(file_system / "devices")) {
            auto const device = parse_number_pair(read_text(member / "dev"));
            if (device && overlap(stack, stack_of(*device, paths))) {
                return mounted_file_system{"btrfs " + file_system.filename().string(), *device, true};
            }
        }
    }
    return std::nullopt;
}

/// The serial number in SCSI's vital product data page 0x80. The header has four bytes, of which the last two are the
/// length.
std::string serial_of_vpd_page(std::string_view page) {
    if (page.size() < 4 || page[1] != '\x80') {
        return {};
    }
    auto const length = static_cast<std::size_t>(static_cast<unsigned char>(page[2])) * 256 +
                        static_cast<std::size_t>(static_cast<unsigned char>(page[3]));
    return trimmed(page.substr(4, length));
}

} // namespace

std::vector<dev_t> devices_sharing_bytes(dev_t device, system_paths const& paths) {
    std::vector<dev_t> devices{device};
    fs::path const folder = sysfs_folder(device, paths.sysfs);
    if (folder.empty()) {
        return devices;
    }
    if (is_partition(folder)) {
        if (auto const disk = parse_number_pair(read_text(folder.parent_path() / "dev"))) {
            devices.push_back(*disk);
        }
        return devices;
    }
    for (fs::path const& sub : subfolders(folder)) {
        if (is_partition(sub)) {
            if (auto const partition = parse_number_pair(read_text(sub / "dev"))) {
                devices.push_back(*partition);
            }
        }
    }
    return devices;
}

std::optional<mounted_file_system> find_mounted(device_stack const& stack, system_paths const& paths) {
    std::optional<mounted_file_system> found;
    std::ifstream in(paths.mountinfo);
    for (std::string line; std::getline(in, line);) {
        auto const mount = parse_mount(line);
        if (!mount) {
            continue;
        }
        auto device = mount->device;
        auto shared = overlap(stack, stack_of(device, paths));
        // btrfs and others have a device number of their own, so check the source as well; only below /dev, because
        // stat() of anything else can hang on a dead server.
        struct ::stat st = {};
        if (!shared && mount->source.starts_with("/dev/") && ::stat(mount->source.c_str(), &st) == 0 &&
            S_ISBLK(st.st_mode)) {
            device = st.st_rdev;
            shared = overlap(stack, stack_of(device, paths));
        }
        if (shared && (!found || (mount->writable && !found->writable))) {
            found = mounted_file_system{mount->mount_point, device, mount->writable};
        }
    }
    return found ? found : find_btrfs_member(stack, paths);
}

std::optional<std::string> find_swap(device_stack const& stack, system_paths const& paths) {
    std::ifstream in(paths.swaps);
    std::string line;
    std::getline(in, line); // the header line
    while (std::getline(in, line)) {
        auto path = unescape(line.substr(0, line.find_first_of(" \t")));
        struct ::stat st = {};
        if (::stat(path.c_str(), &st) == 0 && overlap(stack, stack_of(st, paths))) {
            return path;
        }
    }
    return std::nullopt;
}

std::vector<std::string> find_holders(std::vector<dev_t> const& devices, system_paths const& paths) {
    std::vector<std::string> names;
    for (dev_t const device : devices) {
        fs::path const folder = sysfs_folder(device, paths.sysfs);
        if (folder.empty()) {
            continue;
        }
        for (fs::path const& holder : subfolders(folder / "holders")) {
            names.push_back(holder.filename().string());
        }
    }
    std::ranges::sort(names);
    return names;
}

std::vector<std::string> device_serials(dev_t device, system_paths const& paths) {
    std::vector<std::string> serials;
    auto const add = [&serials](std::string serial) {
        if (!serial.empty() && std::ranges::find(serials, serial) == serials.end()) {
            serials.push_back(std::move(serial));
        }
    };

    fs::path disk = sysfs_folder(device, paths.sysfs);
    if (!disk.empty()) {
        if (is_partition(disk)) {
            disk = disk.parent_path();
        }
        add(trimmed(read_text(disk / "serial")));                         // virtio
        add(trimmed(read_text(disk / "device" / "serial")));              // NVMe, MMC
        add(serial_of_vpd_page(read_text(disk / "device" / "vpd_pg80"))); // SCSI, SATA, SAS
    }

    // udev's properties, from which udev also makes the names in /dev/disk/by-id.
    std::ifstream in(paths.udev_data / ("b" + number_pair(device)));
    for (std::string line; std::getline(in, line);) {
        for (std::string_view const key : {"E:ID_SERIAL_SHORT=", "E:ID_SERIAL=", "E:ID_SCSI_SERIAL="}) {
            if (line.starts_with(key)) {
                add(trimmed(std::string_view(line).substr(key.size())));
            }
        }
    }
    return serials;
}

} // namespace seedbed
