#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "core/foundation/error.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

// A packed image is a file of pieces; each piece holds chunks of the source, most of them compressed. seedbed-image(5)
// describes the format.

/// How a piece holds the bytes of a chunk. The numbers are part of the format.
enum class chunk_method : std::uint8_t {
    zero = 0,   ///< not at all: every byte is zero
    stored = 1, ///< as they are
    zstd = 2    ///< as one Zstandard frame (RFC 8878)
};
[[nodiscard]] char const* to_string(chunk_method method) noexcept;

/// XXH3-128 in its canonical form, the most significant byte first, as xxhsum(1) prints it.
using chunk_digest = std::array<std::byte, 16>;
[[nodiscard]] chunk_digest digest_of(std::span<std::byte const> bytes) noexcept;

/// Whether every byte is zero.
[[nodiscard]] bool is_zero(std::span<std::byte const> bytes) noexcept;

/// A contiguous range of the source, as an entry of a chunk table describes it.
struct packed_chunk {
    device_offset offset;
    std::int32_t raw_length = 0;    ///< bytes on the device
    std::int32_t packed_length = 0; ///< bytes in the piece
    chunk_method method = chunk_method::zero;
    chunk_digest digest{}; ///< of the raw bytes; all zeros if the method is zero

    [[nodiscard]] constexpr device_offset end() const noexcept { return offset + byte_count{raw_length}; }
    friend bool operator==(packed_chunk const&, packed_chunk const&) noexcept = default;
};

/// The properties of an image that bound its chunks.
struct packed_geometry {
    byte_count source_size;
    std::int32_t sector_size = 0;  ///< bytes; chunks consist of whole sectors
    std::int32_t piece_length = 0; ///< bytes; the last piece may be shorter

    friend bool operator==(packed_geometry const&, packed_geometry const&) noexcept = default;
};

/// Limits that are part of the format.
namespace packed_limits {
inline constexpr std::int32_t chunk = 1 << 20;      ///< raw bytes of a chunk
inline constexpr std::int32_t zero_chunk = 1 << 30; ///< raw bytes of a chunk of zeros
inline constexpr std::int32_t least_piece = 64 << 10;
inline constexpr std::int32_t largest_piece = 64 << 20;
/// The raw bytes of a piece, except those of chunks of zeros, in piece lengths: bounds the memory for unpacking one.
inline constexpr std::int32_t expansion = 16;
inline constexpr std::size_t entry_size = 36; ///< bytes of an entry of a chunk table
} // namespace packed_limits

/// The source size is a multiple of the sector size, which is a power of two from 512 to 4096; the piece length is one
/// from 64 KiB to 64 MiB.
[[nodiscard]] result<void> check_geometry(packed_geometry const& geometry);

/// Appends the entry of a chunk to a table.
void append_entry(std::string& table, packed_chunk const& chunk);

/// Reads an entry. The error is the reason why no chunk of such an image has it.
[[nodiscard]] result<packed_chunk> read_entry(std::span<std::byte const, packed_limits::entry_size> entry,
                                              packed_geometry const& geometry);

} // namespace seedbed
