#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace seedbed {

/// The kind of source that an image was made from.
enum class image_kind : std::uint8_t {
    unknown,
    disk,     ///< begins with a partition table
    partition ///< a file system or volume
};
[[nodiscard]] char const* to_string(image_kind kind) noexcept;

/// The properties of an image that are known without reading its bytes.
struct image_traits {
    image_kind kind = image_kind::unknown;
    std::string content = {};     ///< blkid's name of the file system or partition table; empty if unknown
    std::int64_t sector_size = 0; ///< bytes: of a disk, the unit of its partition table; of a partition, the
                                  ///< smallest unit of its file system; 0 = unknown
    std::int64_t size = 0;        ///< bytes that its file system takes up, used or not; 0 = unknown

    friend bool operator==(image_traits const&, image_traits const&) = default;
};

/// The properties of a target.
struct target_traits {
    bool is_partition = false;
    bool has_partitions = false;  ///< or only a partition table
    std::int64_t sector_size = 0; ///< bytes: its logical block size; 0 for a regular file
};

/// Why an image must not be written to a target of another kind, and what to do about it; nothing if it fits. An image
/// of which neither kind nor content is known must not overwrite partitions: it may be of one of them. Known content of
/// unknown kind, such as a hybrid ISO 9660 image, suits disks and partitions.
[[nodiscard]] std::optional<std::string> why_other_kind(image_traits const& image, target_traits const& target);

/// Why a kernel could not use the image on the target: the sector sizes differ. Nothing if it could or too little is
/// known.
[[nodiscard]] std::optional<std::string> why_other_sectors(image_traits const& image, target_traits const& target);

} // namespace seedbed
