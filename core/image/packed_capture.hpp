#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/device/block_device.hpp"
#include "core/device/io_profile.hpp"
#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/packed_chunk.hpp"
#include "core/image/packed_index.hpp"
#include "core/image/partclone_info.hpp"

namespace seedbed {

/// A range of the source that goes into a packed image. No chunk lies in two ranges.
struct packed_range {
    std::int64_t offset = 0;
    std::int64_t length = 0;
    bool zeros = false; ///< a hole: known to be zero, so it is not read

    friend bool operator==(packed_range const&, packed_range const&) = default;
};

/// Ranges of used blocks, extended to whole sectors, in ascending order; those that meet or overlap are joined.
/// \param used in any order. \param size of the source, or of the partition, which they do not exceed.
[[nodiscard]] std::vector<packed_range> ranges_of(std::vector<extent> used, std::int32_t sector_size,
                                                  std::int64_t size);

/// All of the source; the holes of a sparse file, in whole blocks of 4 KiB, as zeros. Fails if they cannot be found.
[[nodiscard]] result<std::vector<packed_range>> whole_source(block_device const& source);

[[nodiscard]] std::int64_t total_length(std::span<packed_range const> ranges) noexcept;

struct packing_progress {
    std::int64_t done = 0;   ///< bytes of the source in pieces that are complete or about to be
    std::int64_t packed = 0; ///< bytes of complete pieces
};

struct packing_options {
    packed_geometry geometry;
    int level = 1;      ///< of zstd, 1 to 19
    int threads = 0;    ///< that compress; 0: one per processor
    io_profile profile; ///< of the source: number and length of requests
    /// Called about ten times a second on the thread that called pack_source().
    std::function<void(packing_progress const&)> progress;
    std::atomic<bool> const* cancelled = nullptr; ///< the work ends soon after it becomes true
};

/// The open file to write the pieces to.
struct packed_file {
    int fd = -1;
    std::string path; ///< for messages
};

struct packed_content {
    packed_index index;
    std::vector<sha1_digest> hashes; ///< one per piece
    std::int64_t size = 0;           ///< of the packed file, in bytes
    std::int64_t padding = 0;        ///< bytes of it
};

/// Packs ranges of a source into a file. Nothing if it was cancelled. Reads the source once, from the first byte to the
/// last, in large requests of which several are in flight; threads compress the chunks, compute their digests, and
/// hash and write complete pieces. The pieces do not depend on the number of threads.
///
/// Memory: some MiB per thread and request, whatever the size of the source. A read error names the first unreadable
/// bytes, as far as reading page by page finds them; an error with the path of \p to is one of writing.
///
/// \param ranges ascending, in whole sectors, at least one.
/// Threads: any that may wait for the source. It has threads of its own, which end before it returns. Throws
/// std::bad_alloc and std::system_error.
[[nodiscard]] result<std::optional<packed_content>, io_error> pack_source(block_device& source,
                                                                          std::span<packed_range const> ranges,
                                                                          packed_file const& to,
                                                                          packing_options const& options);

} // namespace seedbed
