#include "core/device/image_fit.hpp"

namespace seedbed {

char const* to_string(image_kind kind) noexcept {
    switch (kind) {
    case image_kind::unknown:
        break;
    case image_kind::disk:
        return "disk";
    case image_kind::partition:
        return "partition";
    }
    return "unknown";
}

std::optional<std::string> why_other_kind(image_traits const& image, target_traits const& target) {
    if (image.kind == image_kind::partition && target.has_partitions && !target.is_partition) {
        return "a disk with partitions, but the image is of a single partition; deploy to a partition";
    }
    if (image.kind == image_kind::disk && target.is_partition) {
        return "a partition, but the image is of a whole disk; deploy to a disk";
    }
    if (image.kind == image_kind::unknown && image.content.empty() && target.has_partitions && !target.is_partition) {
        return "a disk with partitions, but the .torrent does not say that the image is of a whole disk; deploy to a "
               "partition";
    }
    return std::nullopt;
}

std::optional<std::string> why_other_sectors(image_traits const& image, target_traits const& target) {
    if (image.sector_size == 0 || target.sector_size == 0) {
        return std::nullopt;
    }
    auto const sizes = std::to_string(image.sector_size) + " bytes, the device has " +
                       std::to_string(target.sector_size) + "; deploy to a device with sectors of the same size";
    auto const content = image.content.empty() ? "" : " (" + image.content + ")";
    if (image.kind == image_kind::disk && image.sector_size != target.sector_size) {
        return "the image's partition table" + content + " counts in sectors of " + sizes;
    }
    if (image.kind == image_kind::partition && image.sector_size < target.sector_size) {
        return "the image's file system" + content + " uses sectors of " + sizes;
    }
    return std::nullopt;
}

} // namespace seedbed
