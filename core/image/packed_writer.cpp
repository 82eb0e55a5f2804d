#include "core/image/packed_writer.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>

#include <zstd.h>
#include <zstd_errors.h>

#include "core/image/packed_piece.hpp"

namespace seedbed {

namespace {

/// Longer chunks hardly compress better; shorter ones cost more entries.
constexpr std::int32_t usual_chunk = 256 << 10;
constexpr std::int32_t split_unit = 4096;
/// A chunk is split if this part of a piece, or more, would be padding otherwise.
constexpr std::int64_t most_padding = 64;
/// Compressed bytes must be fewer than the raw ones by this part, or the chunk is stored.
constexpr std::size_t least_gain = 64;

} // namespace

struct chunk_packer::context {
    struct free_context {
        void operator()(ZSTD_CCtx* which) const noexcept { ZSTD_freeCCtx(which); }
    };
    std::unique_ptr<ZSTD_CCtx, free_context> zstd{ZSTD_createCCtx()};
    std::vector<std::byte> frame = std::vector<std::byte>(packed_limits::chunk);
};

chunk_packer::chunk_packer(int level)
    : m_context(std::make_unique<context>()) {
    if (!m_context->zstd) {
        throw std::bad_alloc();
    }
    ZSTD_CCtx_setParameter(m_context->zstd.get(), ZSTD_c_compressionLevel, level);
}
chunk_packer::chunk_packer(chunk_packer&& other) noexcept = default;
chunk_packer& chunk_packer::operator=(chunk_packer&& other) noexcept = default;
chunk_packer::~chunk_packer() = default;

made_chunk chunk_packer::pack(device_offset offset, std::span<std::byte const> raw) {
    made_chunk made{{offset, static_cast<std::int32_t>(raw.size())}};
    if (is_zero(raw)) {
        return made;
    }
    made.chunk.digest = digest_of(raw);
    auto& frame = m_context->frame;
    auto const most = raw.size() - raw.size() / least_gain - 1;
    // Fails if the frame does not fit.
    auto const size = ZSTD_compress2(m_context->zstd.get(), frame.data(), most, raw.data(), raw.size());
    if (ZSTD_getErrorCode(size) == ZSTD_error_memory_allocation) {
        throw std::bad_alloc();
    }
    if (ZSTD_isError(size) != 0) {
        made.chunk.method = chunk_method::stored;
        made.chunk.packed_length = made.chunk.raw_length;
        return made;
    }
    made.chunk.method = chunk_method::zstd;
    made.chunk.packed_length = static_cast<std::int32_t>(size);
    made.frame.assign(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size));
    return made;
}

std::int32_t packed_writer::chunk_length(std::int32_t piece_length) noexcept {
    return std::min(usual_chunk, piece_length / 4);
}

packed_writer::packed_writer(packed_geometry const& geometry, chunk_packer splitter, piece_sink sink)
    : m_geometry(geometry)
    , m_splitter(std::move(splitter))
    , m_sink(std::move(sink)) {
    m_payloads.reserve(static_cast<std::size_t>(geometry.piece_length));
}

void packed_writer::add(made_chunk const& made, std::span<std::byte const> raw) {
    if (!made.apart && join(made.chunk)) {
        return;
    }
    if (fits(made.chunk)) {
        place(made, raw);
        return;
    }
    if (auto const length = length_that_fits(made.chunk); length > 0) {
        auto const first = m_splitter.pack(made.chunk.offset, raw.first(length));
        if (fits(first.chunk)) {
            place(first, raw.first(length));
            complete(false);
            auto const rest = raw.subspan(length);
            place(m_splitter.pack(first.chunk.end(), rest), rest);
            return;
        }
    }
    complete(false);
    place(made, raw);
}

void packed_writer::finish() {
    if (!m_chunks.empty()) {
        complete(true);
    }
}

/// Bytes that are left for the payloads of one more chunk.
std::int64_t packed_writer::room() const noexcept {
    return m_geometry.piece_length - payloads_begin(m_chunks.size() + 1) - static_cast<std::int64_t>(m_payloads.size());
}

bool packed_writer::fits(packed_chunk const& chunk) const noexcept {
    auto const unpacked = chunk.method == chunk_method::zero ? 0 : chunk.raw_length;
    return chunk.packed_length <= room() &&
           m_unpacked + unpacked <= packed_limits::expansion * std::int64_t{m_geometry.piece_length};
}

/// Extends the last chunk by \p chunk if both are zeros and adjacent.
bool packed_writer::join(packed_chunk const& chunk) noexcept {
    if (m_chunks.empty() || chunk.method != chunk_method::zero) {
        return false;
    }
    auto& last = m_chunks.back();
    if (last.method != chunk_method::zero || last.end() != chunk.offset ||
        chunk.raw_length > packed_limits::zero_chunk - last.raw_length) {
        return false;
    }
    last.raw_length += chunk.raw_length;
    return true;
}

/// How many raw bytes of a chunk that does not fit would probably fit: fewer than all. 0 if it is not worth splitting.
std::size_t packed_writer::length_that_fits(packed_chunk const& chunk) const noexcept {
    auto const left = room();
    if (chunk.packed_length <= left || left < m_geometry.piece_length / most_padding) {
        return 0;
    }
    // What a part of the chunk takes is not known exactly: aim below the room, unless the bytes will be stored.
    auto const target = chunk.method == chunk_method::stored ? left : left - left / 16;
    auto const length = chunk.raw_length * target / chunk.packed_length;
    return static_cast<std::size_t>(length / split_unit * split_unit);
}

void packed_writer::place(made_chunk const& made, std::span<std::byte const> raw) {
    if (made.chunk.method == chunk_method::stored) {
        m_payloads.insert(m_payloads.end(), raw.begin(), raw.end());
    } else {
        m_payloads.insert(m_payloads.end(), made.frame.begin(), made.frame.end());
    }
    m_unpacked += made.chunk.method == chunk_method::zero ? 0 : made.chunk.raw_length;
    m_chunks.push_back(made.chunk);
}

void packed_writer::complete(bool last) {
    piece_index const number{m_index.piece_count()};
    made_piece piece{encode_piece_head(number, m_chunks), std::move(m_payloads)};
    auto const used = piece.head.size() + piece.body.size();
    auto const size = last ? used : static_cast<std::size_t>(m_geometry.piece_length);
    piece.body.resize(size - piece.head.size());
    m_index.add_piece(m_chunks);
    m_packed_size += static_cast<std::int64_t>(size);
    m_padding += static_cast<std::int64_t>(size - used);
    m_chunks.clear();
    m_unpacked = 0;
    m_payloads = m_sink(number, std::move(piece));
    m_payloads.clear();
    m_payloads.reserve(static_cast<std::size_t>(m_geometry.piece_length));
}

} // namespace seedbed
