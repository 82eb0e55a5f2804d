#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"
#include "core/image/packed_chunk.hpp"

namespace seedbed {

/// A piece is a header, a chunk table, the payloads of the chunks in the table's order, and zeros up to its length. It
/// can be unpacked without any other piece.
inline constexpr std::size_t packed_header_size = 24;

/// The bytes of a piece before its payloads.
[[nodiscard]] constexpr std::int64_t payloads_begin(std::size_t chunks) noexcept {
    return static_cast<std::int64_t>(packed_header_size + chunks * packed_limits::entry_size);
}

/// The header and the chunk table of a piece that holds \p chunks.
[[nodiscard]] std::string encode_piece_head(piece_index number, std::span<packed_chunk const> chunks);

/// The bytes of a piece that holds \p chunks, without its padding.
[[nodiscard]] std::int64_t used_bytes(std::span<packed_chunk const> chunks) noexcept;

/// Reads the chunk table of one piece and appends its chunks to \p to. Refused: an entry that read_entry() refuses,
/// chunks that do not ascend or overlap, more payload than a piece holds, and more raw bytes than one may hold.
///
/// \param table whole entries. \param begin no chunk may begin before it.
[[nodiscard]] result<void> read_table(std::span<std::byte const> table, packed_geometry const& geometry,
                                      device_offset begin, std::vector<packed_chunk>& to);

/// Reads the chunk table of a piece and checks everything that can be checked without unpacking: header, entries, order
/// (chunks ascend and do not overlap), lengths, padding. The error is one line "piece N: reason".
///
/// \param piece all of its bytes. \param number its position in the image.
[[nodiscard]] result<std::vector<packed_chunk>> read_piece(std::span<std::byte const> piece, piece_index number,
                                                           packed_geometry const& geometry);

/// The raw bytes of chunks, except chunks of zeros: the memory that unpack_piece() needs.
[[nodiscard]] std::int64_t unpacked_size(std::span<packed_chunk const> chunks) noexcept;

/// Unpacks chunks. It allocates at most once, so reuse it.
///
/// Threads: confined to one.
class chunk_unpacker {
public:
    /// Throws std::bad_alloc.
    chunk_unpacker();
    chunk_unpacker(chunk_unpacker&& other) noexcept;
    chunk_unpacker& operator=(chunk_unpacker&& other) noexcept;
    ~chunk_unpacker();

    /// Unpacks one chunk and compares its digest. \param payload as long as the chunk states. \param raw room for its
    /// raw bytes, exactly; undefined after an error. Chunks of zeros are filled in, too, if at most 1 MiB long.
    [[nodiscard]] result<void> unpack(packed_chunk const& chunk, std::span<std::byte const> payload,
                                      std::span<std::byte> raw);

private:
    struct context;
    std::unique_ptr<context> m_context;
};

/// Unpacks all chunks of a piece, except chunks of zeros, to \p raw, one after another. After an error, which is one
/// line "piece N: chunk M: reason", nothing in \p raw may be used: a piece is correct as a whole or not at all.
///
/// \param chunks as read_piece() returned them for this piece. \param raw at least unpacked_size() bytes.
[[nodiscard]] result<void> unpack_piece(chunk_unpacker& unpacker, std::span<std::byte const> piece, piece_index number,
                                        std::span<packed_chunk const> chunks, std::span<std::byte> raw);

} // namespace seedbed
