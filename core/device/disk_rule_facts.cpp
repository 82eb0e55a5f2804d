#include <algorithm>
#include <array>
#include <string>
#include <string_view>
#include <utility>

#include "core/device/device_guards.hpp"
#include "core/device/device_overview.hpp"
#include "core/device/disk_rule.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

/// The SCSI type of optical drives (SPC-4, peripheral device type 5).
constexpr std::int64_t optical_drive = 5;

/// A folder of the path that starts with \p start and continues with a number: sysfs has no other trace of some buses.
bool has_numbered_part(fs::path const& folder, std::string_view start) {
    return std::ranges::any_of(folder, [start](fs::path const& part) {
        auto const name = part.string();
        return name.size() > start.size() && name.starts_with(start) && name[start.size()] >= '0' &&
               name[start.size()] <= '9';
    });
}

/// The transport of an NVMe disk: its controller's, which a multipath disk has only below its subsystem.
std::string nvme_transport(parent_device const& parent) {
    auto transport = trimmed(read_text(parent.folder / "transport"));
    for (auto const& sub : subfolders(parent.folder)) {
        if (transport.empty()) {
            transport = trimmed(read_text(sub / "transport"));
        }
    }
    return transport.empty() || transport == "pcie" ? "nvme" : "nvme over " + transport;
}

std::string transport_of(fs::path const& disk) {
    auto const parents = parents_of(disk);
    auto const above = [&parents](std::string_view subsystem) {
        return std::ranges::any_of(parents, [subsystem](auto const& parent) { return parent.subsystem == subsystem; });
    };
    for (auto const& [subsystem, name] :
         {std::pair{"usb", "usb"}, {"firewire", "firewire"}, {"ieee1394", "firewire"}}) {
        if (above(subsystem)) {
            return name;
        }
    }
    if (parents.empty()) {
        return "unknown";
    }
    auto const& [folder, bus] = parents.front();
    if (bus == "nvme" || bus == "nvme-subsystem") {
        return nvme_transport(parents.front());
    }
    if (bus == "mmc") {
        return trimmed(read_text(folder / "type")) == "SD" ? "sd" : "mmc";
    }
    if (bus == "nd") {
        return "pmem";
    }
    if (bus != "scsi") {
        return bus;
    }
    return has_numbered_part(disk, "session")  ? "iscsi"
           : has_numbered_part(disk, "rport-") ? "fc"
           : has_numbered_part(disk, "ata")    ? "sata"
                                               : "scsi";
}

bool is_internal(std::string_view transport) {
    constexpr std::array<std::string_view, 7> internal{"nvme", "sata", "scsi", "virtio", "xen", "mmc", "pmem"};
    return std::ranges::find(internal, transport) != internal.end();
}

/// Why others would lose data, or the running system its disk, if the disk were written.
std::string why_used(dev_t device, system_paths const& paths) {
    auto const stack = stack_of(device, paths);
    if (auto const mounted = find_mounted(stack, paths)) {
        return "is mounted on " + mounted->mount_point;
    }
    if (auto const swap = find_swap(stack, paths)) {
        return "is in use as swap space (" + *swap + ")";
    }
    if (auto const holders = find_holders(devices_sharing_bytes(device, paths), paths); !holders.empty()) {
        return "is held by " + holders.front();
    }
    return {};
}

/// \param folder of a disk with the number \p device
disk_facts facts_of(fs::path const& folder, dev_t device, system_paths const& paths) {
    disk_facts facts;
    auto name = folder.filename().string();
    std::ranges::replace(name, '!', '/'); // sysfs uses "!" for "/"
    facts.path = "/dev/" + name;
    facts.size = read_number(folder / "size") * sysfs_sector;
    facts.sector_size = read_number(folder / "queue" / "logical_block_size");
    auto const names = disk_names_of(device, paths);
    facts.model = names.model;
    facts.wwn = names.wwn;
    facts.serials = device_serials(device, paths);
    facts.transport = transport_of(folder);
    facts.cls = classify_block_device(number_pair(device), paths.sysfs, paths.mountinfo).cls;
    facts.external = !is_internal(facts.transport) || read_number(folder / "removable") != 0;
    facts.read_only = read_number(folder / "ro") != 0;
    facts.used = why_used(device, paths);
    return facts;
}

} // namespace

std::vector<disk_facts> list_disks(system_paths const& paths) {
    std::vector<disk_facts> disks;
    for (auto const& link : subfolders(paths.sysfs / "block")) {
        auto const number = parse_number_pair(read_text(link / "dev")); // a hidden path of a multipath disk has none
        auto const folder = number ? sysfs_folder(*number, paths.sysfs) : fs::path{};
        if (folder.empty() || read_number(folder / "size") == 0 ||
            read_number(folder / "device" / "type") == optical_drive) {
            continue;
        }
        auto const parent = folder.parent_path();
        if (parent.filename() == "block" && parent.parent_path().filename() == "virtual") {
            continue; // loop, dm, md, zram, nbd
        }
        disks.push_back(facts_of(folder, *number, paths));
    }
    std::ranges::sort(disks, {}, &disk_facts::path);
    return disks;
}

} // namespace seedbed
