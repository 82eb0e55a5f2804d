#include "core/image/packed_index.hpp"

#include <algorithm>
#include <utility>

#include "core/image/little_endian.hpp"
#include "core/image/packed_piece.hpp"

namespace seedbed {

namespace {

constexpr std::size_t count_size = sizeof(std::uint32_t);

} // namespace

result<packed_index> packed_index::parse(std::string_view bytes, packed_geometry const& geometry, std::int64_t pieces,
                                         std::int64_t most_chunks) {
    auto const refuse = [](std::int64_t piece, std::string const& reason) {
        return tl::unexpected(error{"piece " + std::to_string(piece) + ": " + reason});
    };
    auto const all = static_cast<std::int64_t>(bytes.size());
    // Checked before any allocation: a size that the bytes do not justify is not trusted.
    auto const tables = all - pieces * static_cast<std::int64_t>(count_size);
    if (tables < 0 || tables / static_cast<std::int64_t>(packed_limits::entry_size) > most_chunks) {
        return tl::unexpected(error{std::to_string(all) + " bytes for " + std::to_string(pieces) +
                                    " pieces of at most " + std::to_string(most_chunks) + " chunks"});
    }
    packed_index index;
    index.m_ends.reserve(static_cast<std::size_t>(pieces));
    index.m_chunks.reserve(static_cast<std::size_t>(tables) / packed_limits::entry_size);
    auto left = std::as_bytes(std::span(bytes.data(), bytes.size()));
    for (std::int64_t piece = 0; piece < pieces; ++piece) {
        if (left.size() < count_size) {
            return refuse(piece, "the index ends before it");
        }
        auto const count = std::size_t{little_endian_at<std::uint32_t>(left, 0)};
        left = left.subspan(count_size);
        if (count == 0 || count > left.size() / packed_limits::entry_size) {
            return refuse(piece, std::to_string(count) + " chunks, in an index that has " +
                                     std::to_string(left.size()) + " bytes left");
        }
        auto const table = left.first(count * packed_limits::entry_size);
        auto const begin = index.m_chunks.empty() ? device_offset{} : index.m_chunks.back().end();
        auto const before = index.m_chunks.size();
        if (auto const read = read_table(table, geometry, begin, index.m_chunks); !read) {
            return refuse(piece, read.error().message);
        }
        for (auto at = before; at < index.m_chunks.size(); ++at) {
            index.m_used += byte_count{index.m_chunks[at].raw_length};
        }
        index.m_ends.push_back(index.m_chunks.size());
        left = left.subspan(table.size());
    }
    if (!left.empty()) {
        return tl::unexpected(error{std::to_string(left.size()) + " bytes after the last piece"});
    }
    return index;
}

std::string packed_index::encode() const {
    std::string bytes;
    bytes.reserve(m_ends.size() * count_size + m_chunks.size() * packed_limits::entry_size);
    for (std::int32_t piece = 0; piece < piece_count(); ++piece) {
        auto const chunks = chunks_of(piece_index{piece});
        append_little_endian(bytes, static_cast<std::uint32_t>(chunks.size()));
        for (auto const& chunk : chunks) {
            append_entry(bytes, chunk);
        }
    }
    return bytes;
}

void packed_index::add_piece(std::span<packed_chunk const> chunks) {
    m_chunks.insert(m_chunks.end(), chunks.begin(), chunks.end());
    m_ends.push_back(m_chunks.size());
    for (auto const& chunk : chunks) {
        m_used += byte_count{chunk.raw_length};
    }
}

std::span<packed_chunk const> packed_index::chunks_of(piece_index piece) const noexcept {
    auto const number = static_cast<std::size_t>(piece.value());
    if (piece.value() < 0 || number >= m_ends.size()) {
        return {};
    }
    auto const begin = number == 0 ? 0 : m_ends[number - 1];
    return chunks().subspan(begin, m_ends[number] - begin);
}

piece_index packed_index::piece_of(std::size_t chunk) const noexcept {
    return piece_index{static_cast<std::int32_t>(std::ranges::upper_bound(m_ends, chunk) - m_ends.begin())};
}

result<extent_map> packed_index::extents() const {
    std::vector<extent> extents;
    for (auto const& chunk : m_chunks) {
        if (!extents.empty() && extents.back().device_offset + extents.back().length == chunk.offset.value()) {
            extents.back().length += chunk.raw_length;
        } else {
            extents.push_back({chunk.offset.value(), chunk.raw_length});
        }
    }
    return extent_map::make(std::move(extents));
}

} // namespace seedbed
