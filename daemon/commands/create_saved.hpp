#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/image/packed_capture.hpp"
#include "core/image/packed_description.hpp"
#include "core/image/saved_disk.hpp"
#include "core/layout/disk_layout.hpp"
#include "daemon/commands/create_source.hpp"

namespace seedbed {

/// Files that partclone wrote, as the source of a packed image.
struct saved_source {
    std::unique_ptr<saved_disk> device;
    std::int32_t sector_size = 0; ///< bytes
    std::vector<packed_range> ranges;
    std::optional<disk_layout> layout; ///< of a Clonezilla folder
};

/// Whether the options name such files: --from-partclone, or a folder as SOURCE.
[[nodiscard]] bool is_saved(create_options const& options);

/// Opens the files, reads headers and bitmaps, and prints what is taken from each partition of a folder.
[[nodiscard]] result<saved_source, create_failure> open_saved(create_context const& context);

/// Describes the source after all of it was packed: the contents are known then. Fails unless the files end where they
/// should. Warns of copies of metadata that partclone leaves out.
[[nodiscard]] result<packed_description, create_failure> describe_saved(create_context const& context,
                                                                        saved_source& source);

} // namespace seedbed
