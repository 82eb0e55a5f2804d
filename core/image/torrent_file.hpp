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

/// The content of a .torrent besides the extents.
struct torrent_details {
    std::string name;                  ///< the image's name: a partition ("sda1") or a path ("vg/root")
    std::int32_t piece_length = 0;     ///< bytes; libtorrent requires a multiple of 16 KiB or a power of 2
    std::vector<std::string> trackers; ///< announce URLs in the order to try them, one per tier (BEP 12)
    std::string creator;               ///< "created by"
    bool is_private = false;           ///< peers from trackers only (BEP 27); changes the info-hash
    std::string comment = {};          ///< omitted if empty; not part of the info-hash
};

/// A .torrent that has not been saved yet.
struct torrent_bytes {
    std::string bytes;
    seedbed::info_hash info_hash;
};

/// Builds a v1 torrent with one file per extent, named by the extent's device offset in 32 hex digits; multi-file even
/// for one extent. The same input gives the same bytes, because it contains no date.
///
/// \param extents without padding.
/// \param hashes one per piece. Fails if their number does not match, if libtorrent cannot hold the extents (one beyond
/// 16 TiB, or more than 256 TiB in total), and if check_image_name() fails.
[[nodiscard]] result<torrent_bytes> make_torrent(extent_map const& extents, std::vector<sha1_digest> const& hashes,
                                                 torrent_details const& details);

/// Whether every client will keep \p name as it is: printable ASCII without a backslash, no leading slash, no empty
/// component, "." or "..", and components of at most 239 bytes.
[[nodiscard]] result<void> check_image_name(std::string_view name);

} // namespace seedbed
