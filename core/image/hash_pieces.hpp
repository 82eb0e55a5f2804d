#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/device/io_profile.hpp"
#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/partclone_info.hpp"

namespace seedbed {

/// How to hash an image that has no torrent yet.
struct hashing_options {
    std::int32_t piece_length = partclone_piece_length; ///< bytes
    io_profile profile;                                 ///< of the device: number of concurrent requests
    int threads = 0;                                    ///< hash workers; 0: one per processor
    /// Receives the bytes hashed so far, about ten times a second, on the thread that called hash_pieces().
    std::function<void(std::int64_t)> progress;
    std::atomic<bool> const* cancelled = nullptr; ///< the work ends soon after it becomes true
};

/// The SHA-1 of each piece of the bytes that \p extents (without padding) select on \p device. Nothing if it was
/// cancelled.
///
/// Reads once, from the first byte to the last, in large requests of which several are in flight, and hashes as many
/// pieces at a time as there are threads. Uses memory for two pieces more than that: at least 96 MiB, if the image is
/// that large, and at most 1 GiB. A read error names the first unreadable bytes, as far as reading page by page finds
/// them.
///
/// Threads: any that may wait for the device. It has threads of its own, which end before it returns.
[[nodiscard]] result<std::optional<std::vector<sha1_digest>>, io_error>
hash_pieces(block_device& device, extent_map const& extents, hashing_options const& options);

} // namespace seedbed
