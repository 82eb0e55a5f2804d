#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/image/extent_map.hpp"

namespace seedbed {

/// A SHA-1 digest.
using sha1_digest = std::array<char, 20>;

/// The data that `partclone -c -t` writes about a file system: the torrent.info file. The pieces have
/// partclone_piece_length bytes; the last one may be shorter.
struct partclone_info {
    extent_map extents;
    std::vector<sha1_digest> hashes; ///< one per piece
};

/// The piece length, fixed by partclone, in bytes.
inline constexpr std::int32_t partclone_piece_length = 16 << 20;

/// Parses the text of a torrent.info, which errors call \p name.
///
/// The error is one line "NAME:LINE: reason", without the line if the file as a whole is at fault. Refused: a line of
/// another form (including one that ends in CR LF); numbers that are not 32 lowercase hex digits, as partclone writes
/// them, or exceed 63 bits; an offset without its length; extents that are empty, overlap or do not ascend; no extent;
/// a number of hashes that does not match the sum of the lengths; and, if the two header lines are present (old
/// versions of partclone write none), an empty file system and extents beyond its end.
[[nodiscard]] result<partclone_info> parse_partclone_info(std::string_view text, std::string const& name);

/// Loads a file of at most 1 GiB, which is some six million extents.
[[nodiscard]] result<partclone_info> load_partclone_info(std::filesystem::path const& path);

} // namespace seedbed
