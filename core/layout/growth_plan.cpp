#include "core/layout/growth_plan.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/format_count.hpp"

namespace seedbed {

namespace {

constexpr std::int64_t mib = std::int64_t{1} << 20;
/// From btrfs_ioctl_resize() in Linux, which refuses a smaller result.
constexpr auto smallest_resized_btrfs = 256 * mib;
constexpr std::array<std::string_view, 7> growing_types{"ext2", "ext3", "ext4", "ntfs", "xfs", "btrfs", "swap"};

/// Where partitions may end that are made or moved: some systems do not look beyond in an MBR.
std::int64_t plannable_end(disk_layout const& layout, std::int64_t disk_size) {
    auto const end = usable_end(layout, disk_size) / layout.sector_size * layout.sector_size;
    return layout.table == table_type::gpt ? end : std::min(end, (std::int64_t{1} << 32) * layout.sector_size);
}

/// The end of what the disk must hold besides a backup table; at least one sector, even without partitions.
std::int64_t layout_end(disk_layout const& layout) {
    auto end = std::max(layout.gap_start + layout.gap_size, layout.first_usable + layout.sector_size);
    for (auto const& partition : layout.partitions) {
        end = std::max(end, partition.end());
    }
    return end;
}

/// Why a disk is too small, and which partition has the room that is missing.
error too_small(disk_layout const& image, std::int64_t missing) {
    auto text = "the disk is too small for the image's partitions: " + format_count(missing, "byte") + " (" +
                format_byte_size(missing) + ") are missing";
    partition_entry const* roomiest = nullptr;
    std::int64_t room = 0;
    for (auto const& partition : image.partitions) {
        auto const free = partition.size - partition.content.used;
        if (partition.role != partition_role::extended && free > room) {
            roomiest = &partition;
            room = free;
        }
    }
    if (roomiest == nullptr || room < missing) {
        return error{text + ", and no partition has so much free space"};
    }
    return error{text + "; " + describe(*roomiest) + ", which has " + format_byte_size(room) +
                 " free, would have to shrink by this much on the source"};
}

result<partition_entry const*> chosen(disk_layout const& image, growth const& grow) {
    if (grow.which == growth::choice::none) {
        return nullptr;
    }
    partition_entry const* found = nullptr;
    if (grow.which == growth::choice::numbered) {
        found = find_partition(image, grow.number);
    } else {
        for (auto const& partition : image.partitions) {
            if (partition.role != partition_role::extended && (found == nullptr || partition.start > found->start)) {
                found = &partition;
            }
        }
    }
    if (found == nullptr) {
        return tl::unexpected(error{grow.which == growth::choice::last
                                        ? "no partition can grow: the image has none"
                                        : "the image has no partition " + std::to_string(grow.number) + " to grow"});
    }
    if (found->role == partition_role::extended) {
        return tl::unexpected(
            error{describe(*found) + " cannot grow: it is the extended partition; choose a logical one"});
    }
    if (!can_grow(found->content.type)) {
        return tl::unexpected(
            error{describe(*found) + " cannot grow: only ext2, ext3, ext4, ntfs, xfs, btrfs and swap can"});
    }
    return found;
}

/// Moves what follows the chosen partition and enlarges it and the extended partition around it.
void apply_growth(disk_layout& target, int chosen_number, std::int64_t by) {
    auto const grown = *find_partition(target, chosen_number);
    for (auto& partition : target.partitions) {
        auto const around = partition.role == partition_role::extended && grown.role == partition_role::logical;
        if (partition.number == chosen_number || around) {
            partition.size += by;
        } else if (partition.start >= grown.end()) {
            partition.start += by;
        }
    }
}

std::vector<moved_range> ranges_of(disk_layout const& image, disk_layout const& target) {
    std::vector<moved_range> ranges;
    if (image.gap_size > 0) {
        ranges.push_back({image.gap_start, image.gap_size, 0});
    }
    for (std::size_t i = 0; i < image.partitions.size(); ++i) {
        auto const& partition = image.partitions[i];
        if (partition.role != partition_role::extended) {
            ranges.push_back({partition.start, partition.size, target.partitions[i].start - partition.start});
        }
    }
    std::ranges::sort(ranges, {}, &moved_range::start);
    return ranges;
}

/// Windows' boot configuration names a partition of an MBR by the disk's signature and the partition's position.
void note_moved_windows(deployment_plan& plan, disk_layout const& image) {
    if (image.table == table_type::gpt) {
        return;
    }
    for (std::size_t i = 0; i < image.partitions.size(); ++i) {
        auto const& partition = image.partitions[i];
        if (partition.content.type == "ntfs" && plan.target.partitions[i].start != partition.start) {
            plan.notes.push_back(describe(partition) +
                                 " moves: on an MBR disk, Windows finds a partition by its position; Windows or its "
                                 "recovery system in it must be repaired to start");
        }
    }
}

} // namespace

bool can_grow(std::string_view file_system) noexcept {
    return std::ranges::find(growing_types, file_system) != growing_types.end();
}

result<deployment_plan> plan_deployment(disk_layout const& image, std::int64_t disk_size, std::int32_t sector_size,
                                        growth const& grow) {
    if (sector_size != image.sector_size) {
        return tl::unexpected(error{"the disk has sectors of " + format_count(sector_size, "byte") +
                                    ", the image's had " + std::to_string(image.sector_size) +
                                    ": its partition table and file systems would not be readable"});
    }
    auto const partition = chosen(image, grow);
    if (!partition) {
        return tl::unexpected(partition.error());
    }
    auto const end = plannable_end(image, disk_size);
    // What the image's disk held without growth, a disk of the same size holds.
    auto const hard_end = usable_end(image, disk_size) / sector_size * sector_size;
    auto const needed = layout_end(image);
    if (needed > hard_end) {
        return tl::unexpected(too_small(image, needed - hard_end));
    }
    deployment_plan plan;
    plan.target = image;
    plan.target.disk_size = disk_size / sector_size * sector_size;
    auto const by = *partition == nullptr ? 0 : std::max<std::int64_t>(end - needed, 0) / mib * mib;
    if (by > 0 && (*partition)->content.type == "btrfs" && (*partition)->size + by < smallest_resized_btrfs) {
        plan.notes.push_back(describe(**partition) + " does not grow: Linux resizes a btrfs to no less than " +
                             format_byte_size(smallest_resized_btrfs));
    } else if (by > 0) {
        plan.grown = (*partition)->number;
        plan.grown_by = by;
        apply_growth(plan.target, plan.grown, by);
    } else if (*partition != nullptr) {
        plan.notes.push_back(describe(**partition) + " does not grow: the disk has less than 1 MiB to spare");
    }
    if (*partition != nullptr && hard_end - end >= mib) {
        plan.notes.push_back(format_byte_size(hard_end - end) +
                             " of the disk stay unused: an MBR does not reach beyond 2^32 sectors");
    }
    plan.ranges = ranges_of(image, plan.target);
    note_moved_windows(plan, image);
    if (auto const valid = check_layout(plan.target); !valid) {
        return tl::unexpected(error{"cannot plan for this disk: " + valid.error().message});
    }
    return plan;
}

result<deployment_plan> find_deployment(disk_layout const& image, disk_layout const& found) {
    if (found.table != image.table || found.sector_size != image.sector_size) {
        return tl::unexpected(error{"its partition table is of another kind than the image's"});
    }
    deployment_plan plan;
    plan.target = image;
    plan.target.disk_size = found.disk_size;
    for (auto& partition : plan.target.partitions) {
        auto const* const other = find_partition(found, partition.number);
        if (other == nullptr || other->role != partition.role || other->type != partition.type) {
            return tl::unexpected(error{describe(partition) + " is missing, or has another type than in the image"});
        }
        auto const by = other->size - partition.size;
        bool const has_grown = by > 0 && partition.role != partition_role::extended;
        if (by < 0 || (has_grown && plan.grown != 0)) {
            return tl::unexpected(error{describe(partition) + (by < 0 ? " is smaller than in the image"
                                                                      : " is the second one that has grown")});
        }
        if (has_grown) {
            plan.grown = partition.number;
            plan.grown_by = by;
        }
        partition.start = other->start;
        partition.size = other->size;
    }
    plan.ranges = ranges_of(image, plan.target);
    return plan;
}

std::optional<std::int64_t> target_offset(deployment_plan const& plan, std::int64_t image_offset) {
    auto const after = std::ranges::upper_bound(plan.ranges, image_offset, {}, &moved_range::start);
    if (after == plan.ranges.begin()) {
        return std::nullopt;
    }
    auto const& range = *std::prev(after);
    return image_offset - range.start < range.size ? std::optional(image_offset + range.shift) : std::nullopt;
}

} // namespace seedbed
