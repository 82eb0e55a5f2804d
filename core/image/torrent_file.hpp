#pragma once

#include <string_view>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/partclone_info.hpp"
#include "core/image/torrent_details.hpp"

namespace seedbed {

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
