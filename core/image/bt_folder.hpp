#pragma once

#include <filesystem>
#include <memory>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"

namespace seedbed {

/// The data files that `partclone -c -T` writes, one per extent, each as long as its extent and named by its device
/// offset in 32 hex digits. They are presented as the device that they were read from, read-only; bytes outside the
/// extents cannot be read.
///
/// Fails if a file is missing, is not a regular file or has a different length; the error names the file. Each read
/// opens the files that it needs. \param extents must outlive the device.
[[nodiscard]] result<std::unique_ptr<block_device>> open_bt_folder(std::filesystem::path const& folder,
                                                                   extent_map const& extents);

} // namespace seedbed
