#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/foundation/info_hash.hpp"

namespace seedbed {

/// The content of a .torrent besides the extents.
struct torrent_details {
    std::string name;                        ///< the image's name: a partition ("sda1") or a path ("vg/root")
    std::int32_t piece_length = 0;           ///< bytes; libtorrent requires a multiple of 16 KiB or a power of 2
    std::vector<std::string> trackers;       ///< announce URLs in the order to try them, one per tier (BEP 12)
    std::string creator;                     ///< "created by"
    bool is_private = false;                 ///< peers from trackers only (BEP 27); changes the info-hash
    std::string comment = {};                ///< omitted if empty; not part of the info-hash
    std::vector<std::string> web_seeds = {}; ///< URLs of the image's file on HTTP servers (BEP 19)
};

/// A .torrent that has not been saved yet.
struct torrent_bytes {
    std::string bytes;
    seedbed::info_hash info_hash;
};

} // namespace seedbed
