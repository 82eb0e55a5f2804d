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

/// Bytes of a SHA-1.
using sha1_digest = std::array<char, 20>;

/// What `partclone -c -t` writes about a file system: the torrent.info file. It is made for a torrent of pieces of
/// partclone_piece_length; the last piece may be shorter.
struct partclone_info {
    extent_map extents;
    std::vector<sha1_digest> hashes; ///< one a piece
};

/// Fixed by partclone, in bytes.
inline constexpr std::int32_t partclone_piece_length = 16 << 20;

/// Reads the text of a torrent.info, reported as \p name.
///
/// The error is one line "NAME:LINE: reason", without the line where the whole is at fault. Refused: a line of another
/// form (also one that ends in CR LF), numbers of other than 32 lowercase hex digits, as partclone writes them, or
/// beyond 63 bits, an offset without its length, extents that are empty, overlap or do not ascend, no extent, a number
/// of hashes that does not fit the sum of the lengths, and, where the two header lines are there (old partclone writes
/// none), a file system of no bytes and extents beyond its end.
[[nodiscard]] result<partclone_info> parse_partclone_info(std::string_view text, std::string const& name);

/// The same for a file of at most 1 GiB, which is some six million extents.
[[nodiscard]] result<partclone_info> load_partclone_info(std::filesystem::path const& path);

} // namespace seedbed
