#include "daemon/agent/deployed_disk.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>

#include "core/foundation/unique_fd.hpp"
#include "daemon/log/logging.hpp"

namespace seedbed {

namespace {

/// A Linux file system counts more than NTFS, then the larger one.
int rank_of(std::string_view type) {
    constexpr std::array<std::string_view, 6> linux_roots{"ext4", "ext3", "ext2", "xfs", "btrfs", "f2fs"};
    return std::ranges::find(linux_roots, type) != linux_roots.end() ? 2 : type == "ntfs" ? 1 : 0;
}

} // namespace

void reread_partitions(std::string const& device) {
    unique_fd const fd(::open(device.c_str(), O_RDONLY | O_CLOEXEC));
    // EINVAL: a device without partitions. ENOTTY: a file. EBUSY: udev has read the table, and something uses it.
    if (!fd || (::ioctl(fd.get(), BLKRRPART) != 0 && errno != EINVAL && errno != ENOTTY)) {
        log_warning({{}, device, {}},
                    "the kernel did not reread the partition table: " + errno_error(device, errno).message);
    }
}

found_partition root_of(device_overview const& device) {
    if (device.partitions.empty()) {
        return {rank_of(device.content.type) > 0 ? device.path : "", device.content.type};
    }
    partition_overview const* best = nullptr;
    for (auto const& partition : device.partitions) {
        auto const rank = rank_of(partition.content.type);
        auto const best_rank = best == nullptr ? 0 : rank_of(best->content.type);
        if (rank > best_rank || (rank > 0 && rank == best_rank && partition.size > best->size)) {
            best = &partition;
        }
    }
    return best == nullptr ? found_partition{} : found_partition{best->path, best->content.type};
}

std::string efi_partition_of(device_overview const& device) {
    auto const found =
        std::ranges::find_if(device.partitions, [](auto const& partition) { return partition.content.type == "vfat"; });
    return found != device.partitions.end() ? found->path : std::string();
}

std::vector<std::string> hook_environment(hook_facts const& facts, device_overview const& device) {
    std::string partitions;
    for (auto const& partition : device.partitions) {
        partitions += (partitions.empty() ? "" : " ") + partition.path;
    }
    auto const root = root_of(device);
    return {"SEEDBED_DEVICE=" + facts.device,
            "SEEDBED_PARTITIONS=" + partitions,
            "SEEDBED_ROOT_PARTITION=" + root.path,
            "SEEDBED_ROOT_TYPE=" + (root.path.empty() ? "" : root.type),
            "SEEDBED_EFI_PARTITION=" + efi_partition_of(device),
            "SEEDBED_MACHINE=" + facts.machine,
            "SEEDBED_IMAGE=" + facts.image,
            "SEEDBED_JOB=" + facts.job,
            "SEEDBED_SERVER=" + facts.server};
}

} // namespace seedbed
