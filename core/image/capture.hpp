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

/// What a torrent is made of.
struct captured_image {
    extent_map extents;
    std::vector<sha1_digest> hashes; ///< one a piece
};

/// Which bytes of a device or an image file make a raw image: all, or of a file only what is not a hole (lseek(2),
/// SEEK_DATA), unless \p holes. Extents begin and end on multiples of 1 MiB, but for the end of the file, or on larger
/// ones where there would be more than 20,000; none is longer than 4 TiB, which every libtorrent takes.
///
/// Fails where there is no byte.
[[nodiscard]] result<extent_map> find_raw_extents(block_device const& source, bool holes);

struct raw_capture_options {
    bool holes = false; ///< are part of the image, as zeros
    hashing_options hashing;
    /// As that of hashing, with the bytes of the image as the second. hashing.progress is not used.
    std::function<void(std::int64_t, std::int64_t)> progress;
};

struct capture_error {
    std::string message;  ///< one line
    bool refused = false; ///< it was known before anything was hashed
};

/// Takes the raw image of \p source: finds the extents and hashes the pieces. Nothing where it was cancelled.
///
/// A source whose size or, of a file, time of modification differs afterwards is no image: an error. Writes to a block
/// device do not show: whoever opens it keeps others away (O_EXCL). More than 2,097,152 pieces are refused: libtorrent
/// and others load no more. Threads: as hash_pieces().
[[nodiscard]] result<std::optional<captured_image>, capture_error> capture_raw(block_device& source,
                                                                               raw_capture_options const& options);

} // namespace seedbed
