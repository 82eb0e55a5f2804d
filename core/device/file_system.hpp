#pragma once

#include <optional>
#include <string>

#include "core/foundation/error.hpp"

namespace seedbed {

/// The type of the file system (or swap space, volume, and so on) on a device or in an image file, as blkid(8) names
/// it: "ext4", "ntfs", "LVM2_member". Nothing where none is found, or more than one, so that nobody can tell.
///
/// \param path block device or regular file; read through the page cache, a few KiB. The error is one line
/// "PATH: reason".
[[nodiscard]] result<std::optional<std::string>> detect_file_system(std::string const& path);

} // namespace seedbed
