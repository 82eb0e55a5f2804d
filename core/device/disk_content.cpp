#include "core/device/disk_content.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

#include <blkid.h>
#include <fcntl.h>

#include "core/device/sysfs.hpp"
#include "core/device/zfs_labels.hpp"
#include "core/foundation/unique_fd.hpp"

namespace seedbed {

namespace {

/// Far more than a device has: each copy of a signature counts.
constexpr std::size_t max_signatures = 1024;

struct free_probe {
    void operator()(blkid_probe probe) const noexcept { ::blkid_free_probe(probe); }
};

/// An open device and libblkid's state for it.
struct open_probe {
    unique_fd fd;
    std::unique_ptr<std::remove_pointer_t<blkid_probe>, free_probe> probe;
};

/// libblkid sets errno only if a system call failed.
error probe_error(std::string const& path) {
    return errno_error(path, errno != 0 ? errno : EIO);
}

/// \param superblocks, partitions what to probe of each kind.
result<open_probe> start_probe(std::string const& path, device_part const& part, int superblocks, int partitions) {
    open_probe opened;
    opened.fd.reset(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
    if (!opened.fd) {
        return tl::unexpected(errno_error(path, errno));
    }
    opened.probe.reset(::blkid_new_probe());
    auto* const probe = opened.probe.get();
    if (probe == nullptr) {
        return tl::unexpected(errno_error(path, ENOMEM));
    }
    errno = 0;
    if (::blkid_probe_set_device(probe, opened.fd.get(), part.offset, part.size) != 0 ||
        ::blkid_probe_enable_superblocks(probe, 1) != 0 ||
        ::blkid_probe_set_superblocks_flags(probe, superblocks) != 0 ||
        ::blkid_probe_enable_partitions(probe, 1) != 0 || ::blkid_probe_set_partitions_flags(probe, partitions) != 0) {
        return tl::unexpected(probe_error(path));
    }
    return opened;
}

std::string value(blkid_probe probe, char const* name) {
    char const* text = nullptr;
    return ::blkid_probe_lookup_value(probe, name, &text, nullptr) == 0 && text != nullptr ? text : "";
}

/// The signature that libblkid has just found. Its length is 0 if it has no magic bytes at a fixed place.
disk_signature signature_at(blkid_probe probe) {
    disk_signature found;
    found.type = value(probe, "TYPE");
    found.partition_table = found.type.empty();
    if (found.partition_table) {
        found.type = value(probe, "PTTYPE");
    }
    found.label = value(probe, "LABEL");
    std::size_t length = 0;
    if (::blkid_probe_lookup_value(probe, found.partition_table ? "PTMAGIC" : "SBMAGIC", nullptr, &length) == 0) {
        auto const offset = value(probe, found.partition_table ? "PTMAGIC_OFFSET" : "SBMAGIC_OFFSET");
        std::from_chars(offset.data(), offset.data() + offset.size(), found.offset);
        found.length = static_cast<std::int64_t>(length);
    }
    return found;
}

/// A range of the device, in bytes.
struct partition_range {
    std::int64_t offset = 0;
    std::int64_t length = 0;
};

/// The partitions in the device's own partition table. To be called before a range is hidden from libblkid.
std::vector<partition_range> partitions_in_table(blkid_probe probe) {
    std::vector<partition_range> ranges;
    auto* const list = ::blkid_probe_get_partitions(probe);
    auto const count = list != nullptr ? ::blkid_partlist_numof_partitions(list) : 0;
    for (int i = 0; i < count; ++i) {
        auto* const partition = ::blkid_partlist_get_partition(list, i);
        ranges.push_back({::blkid_partition_get_start(partition) * sysfs_sector,
                          ::blkid_partition_get_size(partition) * sysfs_sector});
    }
    return ranges;
}

disk_signature signature_of(zfs_label label) {
    return {.type = "zfs_member",
            .offset = label.magic_offset(),
            .length = zfs_label::magic_length,
            .area_offset = label.area_offset(),
            .area_length = zfs_label::area_length};
}

/// Makes a label's first uberblock, as which libblkid reports a ZFS label, stand for the label.
void widen_to_label(disk_signature& signature, std::vector<zfs_label> const& labels) {
    auto const label = std::ranges::find_if(labels, [&](auto const& one) { return one.contains(signature.offset); });
    if (signature.type == "zfs_member" && signature.length > 0 && label != labels.end()) {
        signature.area_offset = label->area_offset();
        signature.area_length = zfs_label::area_length;
    }
}

/// Adds the labels that libblkid does not report, because it requires four uberblocks. Labels inside a partition are
/// the partition's, as for libblkid. \return 0 or errno.
int add_labels(int fd, std::vector<zfs_label> const& labels, std::vector<partition_range> const& partitions,
               std::vector<disk_signature>& found) {
    for (auto const label : labels) {
        auto const known = [&](auto const& other) { return other.area_offset == label.area_offset(); };
        auto const contains = [&](partition_range const& range) {
            return range.offset <= label.offset && label.offset + zfs_label::size <= range.offset + range.length;
        };
        if (std::ranges::any_of(found, known) || std::ranges::any_of(partitions, contains)) {
            continue;
        }
        auto const described = describes_pool(fd, label);
        if (!described) {
            return described.error();
        }
        if (*described) {
            found.push_back(signature_of(label));
        }
    }
    return 0;
}

/// Hides a signature from later probing. Changes libblkid's memory only.
bool hide(blkid_probe probe, disk_signature const& signature) {
    auto const whole = signature.area_length > 0;
    auto const offset = static_cast<std::uint64_t>(whole ? signature.area_offset : signature.offset);
    auto const length = static_cast<std::uint64_t>(whole ? signature.area_length : signature.length);
    return ::blkid_probe_hide_range(probe, offset, length) == 0 && ::blkid_probe_step_back(probe) == 0;
}

/// \param copies also look after each signature for another of its kind.
result<std::vector<disk_signature>> list_signatures(std::string const& path, device_part const& part, bool copies) {
    auto const opened = start_probe(
        path, part, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_MAGIC | (copies ? BLKID_SUBLKS_BADCSUM : 0),
        BLKID_PARTS_MAGIC | (copies ? BLKID_PARTS_FORCE_GPT : 0));
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    auto* const probe = opened->probe.get();
    auto const labels = copies ? zfs_labels(::blkid_probe_get_size(probe)) : std::vector<zfs_label>{};
    auto const partitions = copies ? partitions_in_table(probe) : std::vector<partition_range>{};
    std::vector<disk_signature> found;
    errno = 0;
    int code = 0;
    while (found.size() < max_signatures && (code = ::blkid_do_probe(probe)) == 0) {
        auto signature = signature_at(probe);
        if (signature.type.empty()) {
            continue; // an entry of a partition table, not the table
        }
        widen_to_label(signature, labels);
        found.push_back(signature);
        if (copies && signature.length > 0 && !hide(probe, signature)) {
            return tl::unexpected(probe_error(path));
        }
    }
    if (code < 0) {
        return tl::unexpected(probe_error(path));
    }
    if (int const failed = add_labels(opened->fd.get(), labels, partitions, found); failed != 0) {
        return tl::unexpected(errno_error(path, failed));
    }
    return found;
}

} // namespace

result<disk_content> probe_content(std::string const& path, device_part const& part) {
    auto const opened =
        start_probe(path, part, BLKID_SUBLKS_TYPE | BLKID_SUBLKS_LABEL | BLKID_SUBLKS_UUID, BLKID_PARTS_ENTRY_DETAILS);
    if (!opened) {
        return tl::unexpected(opened.error());
    }
    auto* const probe = opened->probe.get();
    disk_content found;
    errno = 0;
    switch (::blkid_do_safeprobe(probe)) {
    case 0:
        found.type = value(probe, "TYPE");
        found.label = value(probe, "LABEL");
        found.uuid = value(probe, "UUID");
        found.partition_table = value(probe, "PTTYPE");
        found.partition_uuid = value(probe, "PART_ENTRY_UUID");
        break;
    case 1: // nothing was found
        return found;
    case -2: // several were found
        found.ambiguous = true;
        break;
    default:
        return tl::unexpected(probe_error(path));
    }
    auto signatures = list_signatures(path, part, false);
    if (!signatures) {
        return tl::unexpected(signatures.error());
    }
    found.signatures = std::move(*signatures);
    return found;
}

result<std::vector<disk_signature>> find_signatures(std::string const& path) {
    return list_signatures(path, {}, true);
}

std::string reason_without_path(error const& failed, std::string const& path) {
    auto const& text = failed.message;
    return text.starts_with(path + ": ") ? text.substr(path.size() + 2) : text;
}

std::string signature_types(std::span<disk_signature const> signatures) {
    std::vector<std::string_view> types;
    std::string text;
    for (auto const& signature : signatures) {
        if (std::ranges::find(types, signature.type) == types.end()) {
            types.emplace_back(signature.type);
            text += (text.empty() ? "" : ", ") + signature.type;
        }
    }
    return text;
}

} // namespace seedbed
