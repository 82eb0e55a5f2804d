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

/// How to hash an image that is not in a torrent yet.
struct hashing_options {
    std::int32_t piece_length = partclone_piece_length; ///< bytes
    io_profile profile;                                 ///< of the device: requests at a time
    int threads = 0;                                    ///< that hash; 0: one a processor
    /// Bytes hashed so far; called about ten times a second by the thread that called hash_pieces().
    std::function<void(std::int64_t)> progress;
    std::atomic<bool> const* cancelled = nullptr; ///< ends the work soon once it is true
};

/// The SHA-1 of each piece of the bytes that \p extents, without padding, have on \p device. Nothing where it was
/// cancelled.
///
/// Reads from the first byte to the last, once, in large requests of which several are under way, and hashes as many
/// pieces at a time as there are threads. Takes memory for two pieces more than that: at least 96 MiB, as far as the
/// image has that much, and at most 1 GiB. The error of a read names the first bytes that cannot be read, as far as
/// reading a page at a time finds them.
///
/// Threads: any that may wait as long as the device takes. It has threads of its own, which end before it returns.
[[nodiscard]] result<std::optional<std::vector<sha1_digest>>, io_error>
hash_pieces(block_device& device, extent_map const& extents, hashing_options const& options);

} // namespace seedbed
