#include "core/device/device_overview.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <fstream>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/device/sysfs.hpp"

namespace seedbed {

namespace {

namespace fs = std::filesystem;

/// The device's name below /dev: sysfs uses "!" for "/".
std::string device_name(fs::path const& folder) {
    auto name = folder.filename().string();
    std::ranges::replace(name, '!', '/');
    return name;
}

/// The first text that is not empty.
template <std::size_t N>
std::string first_of(std::array<std::string, N> const& texts) {
    auto const found = std::ranges::find_if(texts, [](auto const& text) { return !text.empty(); });
    return found == texts.end() ? "" : *found;
}

/// A property that udev stores for a device as "E:KEY=value".
std::string udev_property(dev_t device, std::string_view key, system_paths const& paths) {
    auto const prefix = "E:" + std::string(key) + "=";
    std::ifstream in(paths.udev_data / ("b" + number_pair(device)));
    for (std::string line; std::getline(in, line);) {
        if (line.starts_with(prefix)) {
            return trimmed(std::string_view(line).substr(prefix.size()));
        }
    }
    return {};
}

/// A SATA disk has "ATA" as its vendor.
std::string model_of(fs::path const& disk, dev_t device, system_paths const& paths) {
    auto model = first_of(std::array{trimmed(read_text(disk / "device" / "model")),
                                     trimmed(read_text(disk / "device" / "name")), // MMC
                                     udev_property(device, "ID_MODEL", paths)});
    auto const vendor = trimmed(read_text(disk / "device" / "vendor"));
    auto const is_name = !vendor.empty() && vendor != "ATA" && !vendor.starts_with("0x");
    return is_name && !model.empty() && !model.starts_with(vendor) ? vendor + " " + model : model;
}

/// The most readable of a disk's links: those that start with a world-wide name mean nothing to an operator.
std::string by_id_link(dev_t device, fs::path const& folder) {
    constexpr std::array<std::string_view, 5> numbers{"wwn-", "nvme-eui.", "nvme-nvme.", "scsi-3", "dm-uuid-"};
    std::vector<std::pair<bool, std::string>> found; // the readable ones first
    std::error_code ec;
    for (fs::directory_iterator it(folder, ec), end; !ec && it != end; it.increment(ec)) {
        struct ::stat st = {};
        if (::stat(it->path().c_str(), &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == device) {
            auto const name = it->path().filename().string();
            auto const is_number = std::ranges::any_of(numbers, [&](auto start) { return name.starts_with(start); });
            found.emplace_back(is_number, it->path().string());
        }
    }
    std::ranges::sort(found);
    return found.empty() ? "" : found.front().second;
}

/// The mount point of anything that shares bytes with the device or file, except its own partitions, which have their
/// own entries.
std::string mount_point_of(device_stack const& stack, std::vector<partition_overview> const& partitions,
                           system_paths const& paths) {
    auto const mounted = find_mounted(stack, paths);
    auto const of_partition = [&](auto const& partition) {
        return mounted && partition.mount_point == mounted->mount_point;
    };
    return mounted && std::ranges::none_of(partitions, of_partition) ? mounted->mount_point : "";
}

/// \param into a device_overview or partition_overview
template <class Overview>
void probe_into(std::string const& path, Overview& into) {
    if (auto content = probe_content(path)) {
        into.content = std::move(*content);
    } else {
        into.content_problem = reason_without_path(content.error(), path);
    }
}

std::vector<partition_overview> partitions_of(fs::path const& disk, system_paths const& paths) {
    std::vector<std::pair<std::int64_t, partition_overview>> found; // by their start
    for (auto const& folder : subfolders(disk)) {
        auto const number = parse_number_pair(read_text(folder / "dev"));
        if (!is_partition(folder) || !number) {
            continue;
        }
        partition_overview partition;
        partition.path = "/dev/" + device_name(folder);
        partition.size = read_number(folder / "size") * sysfs_sector;
        probe_into(partition.path, partition);
        partition.mount_point = mount_point_of(stack_of(*number, paths), {}, paths);
        found.emplace_back(read_number(folder / "start"), std::move(partition));
    }
    std::ranges::sort(found, {}, [](auto const& entry) { return entry.first; });
    std::vector<partition_overview> list;
    list.reserve(found.size());
    for (auto& entry : found) {
        list.push_back(std::move(entry.second));
    }
    return list;
}

void describe_block_device(dev_t device, system_paths const& paths, device_overview& into) {
    auto const serials = device_serials(device, paths);
    into.serial = serials.empty() ? "" : serials.front();
    auto const folder = sysfs_folder(device, paths.sysfs);
    if (folder.empty()) {
        return;
    }
    into.kernel_name = device_name(folder);
    auto const partition = is_partition(folder);
    auto const disk = partition ? folder.parent_path() : folder;
    into.disk = partition ? device_name(disk) : "";
    auto names = disk_names_of(device, paths);
    into.model = std::move(names.model);
    into.wwn = std::move(names.wwn);
    into.backing_file = loop_backing_file(disk);
    if (!partition) {
        into.partitions = partitions_of(folder, paths);
    }
}

} // namespace

disk_names disk_names_of(dev_t device, system_paths const& paths) {
    auto const folder = sysfs_folder(device, paths.sysfs);
    if (folder.empty()) {
        return {};
    }
    auto const disk = is_partition(folder) ? folder.parent_path() : folder;
    return {model_of(disk, device, paths),
            first_of(std::array{trimmed(read_text(disk / "wwid")), trimmed(read_text(disk / "device" / "wwid")),
                                udev_property(device, "ID_WWN_WITH_EXTENSION", paths),
                                udev_property(device, "ID_WWN", paths)})};
}

result<device_overview, device_refusal> look_over_device(std::string const& path, system_paths const& paths,
                                                         fs::path const& by_id) {
    auto const geometry = query_device_geometry(path);
    if (!geometry) {
        return tl::make_unexpected(geometry.error());
    }
    device_overview found;
    found.path = path;
    found.block_device = geometry->is_block_device;
    found.size = geometry->size;
    probe_into(path, found);
    struct ::stat st = {};
    if (::stat(path.c_str(), &st) != 0) {
        return found;
    }
    if (S_ISBLK(st.st_mode)) {
        describe_block_device(st.st_rdev, paths, found);
        found.by_id = by_id_link(st.st_rdev, by_id);
    }
    found.mount_point = mount_point_of(stack_of(st, paths), found.partitions, paths);
    return found;
}

} // namespace seedbed
