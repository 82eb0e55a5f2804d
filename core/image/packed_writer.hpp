#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/foundation/strong.hpp"
#include "core/image/packed_chunk.hpp"
#include "core/image/packed_index.hpp"

namespace seedbed {

/// A chunk that is not in a piece yet.
struct made_chunk {
    packed_chunk chunk;
    std::vector<std::byte> frame = {}; ///< the payload, if the method is zstd
    /// It begins something of its own, such as a partition, which may move: it is not joined with the one before it.
    bool apart = false;
};

/// A complete piece: its bytes are those of \c head, then those of \c body.
struct made_piece {
    std::string head;            ///< the piece's header and chunk table
    std::vector<std::byte> body; ///< the payloads and the padding
};

/// Compresses chunks. It allocates its memory once, so reuse it.
///
/// Threads: confined to one; use one per thread.
class chunk_packer {
public:
    /// \param level of zstd, 1 to 19. Throws std::bad_alloc.
    explicit chunk_packer(int level);
    chunk_packer(chunk_packer&& other) noexcept;
    chunk_packer& operator=(chunk_packer&& other) noexcept;
    ~chunk_packer();

    /// Makes a chunk of whole sectors of the source, at most packed_limits::chunk. Bytes that are hardly compressible
    /// are stored. The same bytes and level always give the same chunk. Throws std::bad_alloc.
    [[nodiscard]] made_chunk pack(device_offset offset, std::span<std::byte const> raw);

private:
    struct context;
    std::unique_ptr<context> m_context;
};

/// Lays out chunks in pieces, without I/O: fills each piece until the next chunk does not fit. If much room is left, it
/// splits that chunk, so that little of a piece is padding. Joins adjacent chunks of zeros.
///
/// The pieces depend only on the chunks and the geometry, not on the threads that made the chunks.
///
/// Threads: confined to one.
class packed_writer {
public:
    /// Takes a piece. \return an empty buffer for the next one: new, or the memory of an earlier piece's body.
    using piece_sink = std::function<std::vector<std::byte>(piece_index, made_piece)>;

    /// The raw length of chunks that compresses well and leaves little padding, in bytes; a multiple of 4 KiB.
    [[nodiscard]] static std::int32_t chunk_length(std::int32_t piece_length) noexcept;

    /// \param splitter compresses the parts of chunks that are split: with the same level as the chunks.
    /// \param sink takes each piece when it is complete: all have the piece length, except the last, which has no
    /// padding.
    packed_writer(packed_geometry const& geometry, chunk_packer splitter, piece_sink sink);

    /// Adds the next chunk. \param made at most chunk_length() raw bytes, after all earlier chunks.
    /// \param raw its raw bytes. Throws std::bad_alloc, and what the sink throws.
    void add(made_chunk const& made, std::span<std::byte const> raw);
    /// Completes the last piece.
    void finish();

    /// Of the complete pieces.
    [[nodiscard]] packed_index const& index() const noexcept { return m_index; }
    /// The sizes of the complete pieces, in bytes: the packed file's, and the padding in it.
    [[nodiscard]] std::int64_t packed_size() const noexcept { return m_packed_size; }
    [[nodiscard]] std::int64_t padding() const noexcept { return m_padding; }

private:
    [[nodiscard]] bool fits(packed_chunk const& chunk) const noexcept;
    [[nodiscard]] bool join(packed_chunk const& chunk) noexcept;
    [[nodiscard]] std::int64_t room() const noexcept;
    [[nodiscard]] std::size_t length_that_fits(packed_chunk const& chunk) const noexcept;
    void place(made_chunk const& made, std::span<std::byte const> raw);
    void complete(bool last);

    packed_geometry const m_geometry;
    chunk_packer m_splitter;
    piece_sink const m_sink;
    packed_index m_index;
    std::vector<packed_chunk> m_chunks; ///< of the piece that is being filled
    std::vector<std::byte> m_payloads;
    std::int64_t m_unpacked = 0; ///< raw bytes of m_chunks, except zeros
    std::int64_t m_packed_size = 0;
    std::int64_t m_padding = 0;
};

} // namespace seedbed
