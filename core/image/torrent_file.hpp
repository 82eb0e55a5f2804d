#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/partclone_info.hpp"

namespace seedbed {

/// What goes into a .torrent besides the extents.
struct torrent_details {
    std::string name;                  ///< the image's: a partition ("sda1") or a path ("vg/root")
    std::int32_t piece_length = 0;     ///< bytes; libtorrent wants a multiple of 16 KiB or a power of 2
    std::vector<std::string> trackers; ///< announce URLs in the order to try them: one a tier (BEP 12)
    std::string creator;               ///< "created by"
    bool is_private = false;           ///< peers from trackers only (BEP 27); makes it another info-hash
    std::string comment = {};          ///< left out if empty; not part of the info-hash
};

/// A .torrent, not yet in a file.
struct torrent_bytes {
    std::string bytes;
    seedbed::info_hash info_hash;
};

/// Makes a v1 torrent with one file an extent, whose name is the extent's device offset in 32 hex digits; multi-file
/// even for one extent. The same input gives the same bytes: no date goes in.
///
/// \param extents without padding.
/// \param hashes one a piece. Fails where their number does not fit, where libtorrent cannot hold the extents (one
/// beyond 16 TiB, or more than 256 TiB together), and where check_image_name() does.
[[nodiscard]] result<torrent_bytes> make_torrent(extent_map const& extents, std::vector<sha1_digest> const& hashes,
                                                 torrent_details const& details);

/// Whether every client would keep \p name as it is: printable ASCII without backslash, no slash at the start, no empty
/// component, "." or "..", and components of at most 239 bytes.
[[nodiscard]] result<void> check_image_name(std::string_view name);

} // namespace seedbed
