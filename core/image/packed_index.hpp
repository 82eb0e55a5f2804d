#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/packed_chunk.hpp"

namespace seedbed {

/// The chunk tables of all pieces of a packed image, which its .torrent carries: all of the device's bytes that the
/// image holds, and their digests, known before a piece is downloaded. Chunks ascend and do not overlap.
///
/// Immutable once complete; then every member may be called from any thread. Memory: 40 bytes per chunk.
class packed_index {
public:
    packed_index() = default;

    /// Parses the bytes that encode() makes. The error is the reason: "piece N: ...".
    /// \param pieces the number of pieces of the torrent. \param most_chunks more are refused.
    [[nodiscard]] static result<packed_index> parse(std::string_view bytes, packed_geometry const& geometry,
                                                    std::int64_t pieces, std::int64_t most_chunks);
    /// For each piece, the number of its chunks and its chunk table, as in the piece.
    [[nodiscard]] std::string encode() const;

    /// Appends the next piece. Its chunks must be valid and lie after those of all earlier pieces.
    void add_piece(std::span<packed_chunk const> chunks);

    [[nodiscard]] std::int32_t piece_count() const noexcept { return static_cast<std::int32_t>(m_ends.size()); }
    /// The chunks of all pieces.
    [[nodiscard]] std::span<packed_chunk const> chunks() const noexcept { return m_chunks; }
    /// The chunks of one piece; empty for a piece that does not exist.
    [[nodiscard]] std::span<packed_chunk const> chunks_of(piece_index piece) const noexcept;
    /// The piece that holds a chunk of chunks(). O(log pieces).
    [[nodiscard]] piece_index piece_of(std::size_t chunk) const noexcept;

    /// The device's bytes that the image holds, chunks of zeros included.
    [[nodiscard]] byte_count used() const noexcept { return m_used; }
    /// The same, as extents; adjacent chunks are joined. Fails if there is no chunk.
    [[nodiscard]] result<extent_map> extents() const;

private:
    std::vector<packed_chunk> m_chunks;
    std::vector<std::size_t> m_ends; ///< of each piece, in m_chunks
    byte_count m_used;
};

} // namespace seedbed
