#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include <libtorrent/fwd.hpp>

#include "core/device/image_fit.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"
#include "core/image/extent_map.hpp"

namespace seedbed {

/// How large a .torrent may be. libtorrent's own limit of 10,000,000 bytes is reached near 169,000 extents.
struct torrent_limits {
    std::int64_t file_size = 256LL << 20; ///< bytes of the .torrent file
    int tokens = 40'000'000;              ///< bencoded items
    int pieces = 4'000'000;               ///< hashes
};

/// An image as its .torrent describes it. Immutable; every member may be read from any thread.
struct image_torrent {
    std::string name;              ///< the torrent's name: the partition's
    seedbed::info_hash info_hash;  ///< that of v1; of a v2-only torrent that of v2
    std::int32_t piece_length = 0; ///< bytes; the last piece may be shorter
    std::int32_t piece_count = 0;
    bool v1 = true; ///< pieces have a SHA-1
    extent_map extents;
    image_traits traits;                            ///< as far as the .torrent tells them, see read_traits()
    std::shared_ptr<libtorrent::torrent_info> info; ///< never null
};

/// Reads a .torrent whose file names are device offsets in hex (the last component of each path).
///
/// v1, hybrid and v2-only torrents are read. Refused with one line "PATH: reason": no file, no torrent, no metadata
/// (magnet-like), no file in it, a name that is not hex or does not fit 63 bits, extents that overlap or do not ascend,
/// more than \p limits. Files without bytes are skipped, attributes other than padding are ignored. Opens no device.
///
/// Costs for 300,000 extents: a third of a second, 80 MiB while it loads and 36 MiB as long as the image lives, nearly
/// all of it libtorrent's (test_image "[.bench]" measures this).
[[nodiscard]] result<image_torrent> load_image_torrent(std::filesystem::path const& path,
                                                       torrent_limits const& limits = {});

} // namespace seedbed
