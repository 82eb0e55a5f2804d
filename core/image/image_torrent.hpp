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

/// Limits on a .torrent. libtorrent's own limit of 10,000,000 bytes is reached near 169,000 extents.
struct torrent_limits {
    std::int64_t file_size = 256LL << 20; ///< bytes of the .torrent file
    int tokens = 40'000'000;              ///< bencoded items
    int pieces = 4'000'000;               ///< number of pieces
};

/// An image as described by its .torrent. Immutable; every member may be read from any thread.
struct image_torrent {
    std::string name;              ///< the torrent's name, which is the partition's
    seedbed::info_hash info_hash;  ///< v1; for a v2-only torrent, v2
    std::int32_t piece_length = 0; ///< bytes; the last piece may be shorter
    std::int32_t piece_count = 0;
    bool v1 = true; ///< pieces have a SHA-1
    extent_map extents;
    image_traits traits;                            ///< as far as the .torrent states them; see read_traits()
    std::shared_ptr<libtorrent::torrent_info> info; ///< never null
};

/// Loads a .torrent whose file names are device offsets in hex (the last component of each path).
///
/// v1, hybrid and v2-only torrents are accepted. Refused with one line "PATH: reason": a missing file, a file that is
/// no torrent, no metadata (as in a magnet link), a torrent without files, a name that is not hex or does not fit 63
/// bits, extents that overlap or do not ascend, anything above \p limits. Empty files are skipped; attributes other
/// than padding are ignored. Opens no device.
///
/// Cost for 300,000 extents: a third of a second, 80 MiB while loading and 36 MiB for the lifetime of the image, nearly
/// all of it in libtorrent (test_image "[.bench]" measures this).
[[nodiscard]] result<image_torrent> load_image_torrent(std::filesystem::path const& path,
                                                       torrent_limits const& limits = {});

/// The same for the bytes of a .torrent, reported as \p name.
[[nodiscard]] result<image_torrent> parse_image_torrent(std::string const& bytes, std::string const& name,
                                                        torrent_limits const& limits = {});

} // namespace seedbed
