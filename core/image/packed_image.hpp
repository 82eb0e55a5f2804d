#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <libtorrent/fwd.hpp>

#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"
#include "core/foundation/strong.hpp"
#include "core/image/block_layout.hpp"
#include "core/image/packed_chunk.hpp"
#include "core/image/packed_description.hpp"
#include "core/image/packed_index.hpp"
#include "core/image/partclone_info.hpp"
#include "core/image/torrent_file.hpp"

namespace seedbed {

/// The end of each packed image's name. No version of Seedbed mistakes such a name for a device offset in hex, and so a
/// packed file for a raw image.
inline constexpr std::string_view packed_suffix = ".sbi";

/// Limits on the .torrent of a packed image.
struct packed_image_limits {
    std::int64_t file_size = 256LL << 20; ///< bytes of the .torrent file
    std::int64_t chunks = 7'000'000;      ///< a terabyte and a half in chunks of 256 KiB
    int pieces = 4'000'000;
};

/// A packed image as described by its .torrent. Immutable; every member may be read from any thread.
struct packed_image {
    std::string name; ///< of the packed file: "win11.sbi"
    seedbed::info_hash info_hash;
    byte_count packed_size; ///< of the packed file
    packed_geometry geometry;
    packed_description description;
    packed_index index;
    std::shared_ptr<libtorrent::torrent_info> info; ///< never null

    /// How the packed file is divided into pieces.
    [[nodiscard]] block_layout layout() const noexcept { return {packed_size, byte_count{geometry.piece_length}}; }
    [[nodiscard]] std::int32_t piece_count() const noexcept { return index.piece_count(); }
    /// The SHA-1 of a piece.
    [[nodiscard]] sha1_digest hash_of(piece_index piece) const;
};

/// Whether the bytes of a .torrent are those of a packed image, correct or not.
[[nodiscard]] bool is_packed_torrent(std::string_view bytes);

/// Loads the .torrent of a packed image: a v1 torrent of one file, with a description in its info dictionary and the
/// index outside it. All extents are known afterwards: sorted, disjoint and within the source.
///
/// Refused with one line "PATH: reason": a file that is not such a torrent, a description or an index that violates the
/// format, an index whose SHA-256 is not the description's, anything above \p limits. Opens no device.
[[nodiscard]] result<packed_image> load_packed_image(std::filesystem::path const& path,
                                                     packed_image_limits const& limits = {});

/// The same for the bytes of a .torrent, reported as \p name.
[[nodiscard]] result<packed_image> parse_packed_image(std::string const& bytes, std::string const& name,
                                                      packed_image_limits const& limits = {});

/// Reads the chunk table of a piece whose SHA-1 was right, as read_piece() does, and compares it with the index.
[[nodiscard]] result<std::span<packed_chunk const>> check_piece(packed_image const& image, piece_index number,
                                                                std::span<std::byte const> piece);

/// Makes the .torrent of a packed file. The same input gives the same bytes.
///
/// \param size of the packed file in bytes. \param hashes one per piece. \param description its \c index and \c used
/// are filled in. Fails if the numbers of pieces do not match, if the name does not end in packed_suffix, and if
/// check_image_name() or libtorrent refuses.
[[nodiscard]] result<torrent_bytes> make_packed_torrent(byte_count size, std::vector<sha1_digest> const& hashes,
                                                        packed_description description, packed_index const& index,
                                                        torrent_details const& details);

} // namespace seedbed
