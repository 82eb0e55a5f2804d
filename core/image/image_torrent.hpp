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
#include "core/image/packed_image.hpp"

namespace seedbed {

/// Limits on a .torrent. libtorrent's own limit of 10,000,000 bytes is reached near 169,000 extents.
struct torrent_limits {
    std::int64_t file_size = 256LL << 20; ///< bytes of the .torrent file
    int tokens = 40'000'000;              ///< bencoded items
    int pieces = 4'000'000;               ///< number of pieces
};

/// An image as described by its .torrent. Immutable; every member may be read from any thread.
///
/// Of a packed image, the pieces and the one extent are those of the packed file, which a seed reads. A deployment
/// writes them to a packed_target.
struct image_torrent {
    std::string name;              ///< the torrent's name, which is the partition's
    seedbed::info_hash info_hash;  ///< v1; for a v2-only torrent, v2
    std::int32_t piece_length = 0; ///< bytes; the last piece may be shorter
    std::int32_t piece_count = 0;
    bool v1 = true;                                  ///< pieces have a SHA-1
    extent_map extents;                              ///< of the device; of a packed image, of the packed file
    image_traits traits;                             ///< as far as the .torrent states them; see read_traits()
    std::shared_ptr<libtorrent::torrent_info> info;  ///< never null
    std::shared_ptr<packed_image const> packed = {}; ///< null unless the image is packed
};

/// Loads a .torrent whose file names are device offsets in hex (the last component of each path).
///
/// v1, hybrid and v2-only torrents are accepted. Refused with one line "PATH: reason": a missing file, a file that is
/// not a torrent, no metadata (as in a magnet link), a torrent without files, a name that is not hex or does not fit in
/// 63 bits, extents that overlap or do not ascend, anything above \p limits. Empty files are skipped; attributes other
/// than padding are ignored. Opens no device.
///
/// Cost for 300,000 extents: a third of a second, 80 MiB while loading and 36 MiB for the lifetime of the image, nearly
/// all of it in libtorrent (test_image "[.bench]" measures this).
[[nodiscard]] result<image_torrent> load_image_torrent(std::filesystem::path const& path,
                                                       torrent_limits const& limits = {});

/// The same for the bytes of a .torrent, reported as \p name.
[[nodiscard]] result<image_torrent> parse_image_torrent(std::string const& bytes, std::string const& name,
                                                        torrent_limits const& limits = {});

/// Loads the .torrent of a raw or a packed image, as load_image_torrent() or load_packed_image() do.
[[nodiscard]] result<image_torrent> load_any_torrent(std::filesystem::path const& path,
                                                     torrent_limits const& limits = {});

/// The same for the bytes of a .torrent, reported as \p name.
[[nodiscard]] result<image_torrent> parse_any_torrent(std::string const& bytes, std::string const& name,
                                                      torrent_limits const& limits = {});

/// "425 MiB in 1234 extents", or "8.2 GiB packed into 3.1 GiB".
[[nodiscard]] std::string size_text(image_torrent const& torrent);

} // namespace seedbed
