#pragma once

#include <algorithm>
#include <compare>
#include <cstdint>

#include "core/foundation/block_size.hpp"
#include "core/foundation/strong.hpp"

namespace seedbed {

/// One block of a torrent.
struct block_position {
    piece_index piece;
    block_in_piece block;

    friend constexpr auto operator<=>(block_position const&, block_position const&) noexcept = default;
};

/// The blocks [begin, end) of one piece.
struct block_range {
    block_in_piece begin;
    block_in_piece end;

    [[nodiscard]] constexpr std::int32_t size() const noexcept { return end - begin; }
    friend constexpr bool operator==(block_range const&, block_range const&) noexcept = default;
};

/// The pieces [begin, end).
struct piece_range {
    piece_index begin;
    piece_index end;

    [[nodiscard]] constexpr std::int32_t size() const noexcept { return end - begin; }
    friend constexpr bool operator==(piece_range const&, piece_range const&) noexcept = default;
};

/// The number of blocks that hold \p size bytes, starting at a block boundary.
[[nodiscard]] constexpr std::int32_t blocks_for(byte_count size) noexcept {
    return static_cast<std::int32_t>((size + byte_count{block_size - 1}) / byte_count{block_size});
}

/// The offset of a block within its piece.
[[nodiscard]] constexpr byte_count begin_of(block_in_piece block) noexcept {
    return block.value() * byte_count{block_size};
}

/// The block that contains byte \p within of a piece.
[[nodiscard]] constexpr block_in_piece block_at(byte_count within) noexcept {
    return block_in_piece{static_cast<std::int32_t>(within / byte_count{block_size})};
}

/// The blocks that contain the \p length bytes of a piece that start at byte \p within.
[[nodiscard]] constexpr block_range blocks_of(byte_count within, byte_count length) noexcept {
    auto const begin = block_at(within);
    return {begin, length > byte_count{} ? block_at(within + length - byte_count{1}) + 1 : begin};
}

/// How a torrent's byte stream is divided into pieces, and those into blocks. Every piece has the piece length except
/// the last, which has the remainder; every block of a piece has block_size bytes except the last.
///
/// A plain value of 16 bytes, without I/O. Sizes are at least 0. Pieces and blocks beyond the end are empty.
class block_layout {
public:
    /// \param piece_length more than 0; any number, not only multiples of the block size.
    constexpr block_layout(byte_count total_size, byte_count piece_length) noexcept
        : m_total_size(total_size)
        , m_piece_length(piece_length) {}

    [[nodiscard]] constexpr byte_count total_size() const noexcept { return m_total_size; }
    [[nodiscard]] constexpr byte_count piece_length() const noexcept { return m_piece_length; }

    /// Wider than a piece_index: a size that is about to be refused may yield more pieces than any torrent has.
    [[nodiscard]] constexpr std::int64_t piece_count() const noexcept {
        return m_total_size / m_piece_length + (m_total_size % m_piece_length > byte_count{} ? 1 : 0);
    }
    [[nodiscard]] constexpr byte_count piece_size(piece_index piece) const noexcept {
        return std::clamp(m_total_size - (begin_of(piece) - torrent_offset{}), byte_count{}, m_piece_length);
    }
    [[nodiscard]] constexpr std::int32_t block_count(piece_index piece) const noexcept {
        return blocks_for(piece_size(piece));
    }
    /// The number of blocks of each piece except the last, which may have fewer.
    [[nodiscard]] constexpr std::int32_t most_blocks() const noexcept { return blocks_for(m_piece_length); }
    [[nodiscard]] constexpr byte_count block_length(block_position at) const noexcept {
        return std::clamp(piece_size(at.piece) - seedbed::begin_of(at.block), byte_count{}, byte_count{block_size});
    }

    [[nodiscard]] constexpr torrent_offset begin_of(piece_index piece) const noexcept {
        return torrent_offset{} + piece.value() * m_piece_length;
    }
    [[nodiscard]] constexpr torrent_offset begin_of(block_position at) const noexcept {
        return begin_of(at.piece) + seedbed::begin_of(at.block);
    }

    /// \param at less than total_size() from the start.
    [[nodiscard]] constexpr piece_index piece_at(torrent_offset at) const noexcept {
        return piece_index{static_cast<std::int32_t>((at - torrent_offset{}) / m_piece_length)};
    }
    [[nodiscard]] constexpr block_position block_at(torrent_offset at) const noexcept {
        return {piece_at(at), seedbed::block_at(at % m_piece_length)};
    }
    /// The pieces that contain the \p length bytes from \p begin on, all of which must be within total_size().
    [[nodiscard]] constexpr piece_range pieces_of(torrent_offset begin, byte_count length) const noexcept {
        auto const first = piece_at(begin);
        return {first, length > byte_count{} ? piece_at(begin + length - byte_count{1}) + 1 : first};
    }

private:
    byte_count m_total_size;
    byte_count m_piece_length;
};

} // namespace seedbed
