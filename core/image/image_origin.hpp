#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/device/disk_content.hpp"
#include "core/device/image_fit.hpp"

namespace seedbed {

/// The bytes that a file system takes up from the start of its device, used or not, according to its superblock; 0 if
/// this is unknown. \param type blkid's name. \param head the first source_head bytes.
[[nodiscard]] std::int64_t size_of_file_system(std::string_view type, std::string_view head);

/// Determines what kind of image a source is. \param head its first source_head bytes.
/// \param sector_size the source's logical block size in bytes; 0 for a regular file.
[[nodiscard]] image_traits traits_of(disk_content const& content, std::string_view head, std::int64_t sector_size);

/// The comment of a .torrent, which its info-hash does not cover: "seedbed kind=partition content=ext4 sector=4096
/// size=1073741824".
[[nodiscard]] std::string to_comment(image_traits const& traits);

/// What a .torrent says about its image: in a comment as above, otherwise by a name such as sda1 or nvme0n1.
[[nodiscard]] image_traits read_traits(std::string_view comment, std::string_view name);

} // namespace seedbed
