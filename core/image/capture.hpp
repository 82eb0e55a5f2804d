#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/hash_pieces.hpp"

namespace seedbed {

/// The content of a new torrent.
struct captured_image {
    extent_map extents;
    std::vector<sha1_digest> hashes; ///< one per piece
};

/// The bytes of a device or an image file that make up a raw image: all, but of a file without its holes (lseek(2),
/// SEEK_DATA) unless \p holes is set. Extents begin and end at multiples of 1 MiB, except at the end of the file, or of
/// a larger unit if there would be more than 20,000 extents. None is longer than 4 TiB, which every version of
/// libtorrent accepts.
///
/// Fails if there is no byte.
[[nodiscard]] result<extent_map> find_raw_extents(block_device const& source, bool holes);

struct raw_capture_options {
    bool holes = false; ///< include holes in the image, as zeros
    hashing_options hashing;
    /// As hashing_options::progress, with the image's size in bytes as the second argument.
    std::function<void(std::int64_t, std::int64_t)> progress;
};

struct capture_error {
    std::string message;  ///< one line
    bool refused = false; ///< the error was found before any hashing
};

/// Captures the raw image of \p source: finds the extents and hashes the pieces. Nothing if it was cancelled.
///
/// If the size of the source or, of a file, its modification time has changed at the end, that is an error. Writes to a
/// block device cannot be detected: the caller must open it exclusively (O_EXCL). More than 2,097,152 pieces are
/// refused, because libtorrent and other clients do not load more. Threads: as hash_pieces().
[[nodiscard]] result<std::optional<captured_image>, capture_error> capture_raw(block_device& source,
                                                                               raw_capture_options const& options);

} // namespace seedbed
