#pragma once

#include <filesystem>
#include <memory>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"

namespace seedbed {

/// The data files that `partclone -c -T` writes: one an extent, named by its device offset in 32 hex digits and as long
/// as the extent. Seen as the device that they were read from, for reading only; what no extent has cannot be read.
///
/// Fails where a file is missing, is no regular file or has another length; the error names it. Each read opens the
/// files that it needs. \param extents must outlive the device.
[[nodiscard]] result<std::unique_ptr<block_device>> open_bt_folder(std::filesystem::path const& folder,
                                                                   extent_map const& extents);

} // namespace seedbed
