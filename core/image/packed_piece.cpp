#include "core/image/packed_piece.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include <zstd.h>

#include "core/image/little_endian.hpp"

namespace seedbed {

namespace {

constexpr std::string_view piece_magic = "SBPIECE\n";
constexpr std::uint16_t piece_version = 1;

// The positions of the fields of the header.
constexpr std::size_t version_at = 8;
constexpr std::size_t header_size_at = 10;
constexpr std::size_t piece_number_at = 12;
constexpr std::size_t count_at = 16;
constexpr std::size_t used_at = 20;
static_assert(used_at + 4 == packed_header_size);

tl::unexpected<error> refuse_piece(piece_index number, std::string const& reason) {
    return tl::unexpected(error{"piece " + std::to_string(number.value()) + ": " + reason});
}

tl::unexpected<error> refuse_piece(piece_index number, std::size_t chunk, std::string const& reason) {
    return refuse_piece(number, "chunk " + std::to_string(chunk) + ": " + reason);
}

/// The sizes that a header states.
struct piece_head {
    std::size_t chunks = 0;
    std::int64_t used = 0; ///< bytes before the padding
};

result<piece_head> read_head(std::span<std::byte const> piece, piece_index number) {
    if (piece.size() < packed_header_size || std::memcmp(piece.data(), piece_magic.data(), piece_magic.size()) != 0) {
        return refuse_piece(number, "not a piece of a packed image");
    }
    if (auto const found = little_endian_at<std::uint16_t>(piece, version_at); found != piece_version) {
        return refuse_piece(number, "has version " + std::to_string(found) +
                                        " of the format; this program reads version " + std::to_string(piece_version));
    }
    if (auto const size = little_endian_at<std::uint16_t>(piece, header_size_at); size != packed_header_size) {
        return refuse_piece(number, "a header of " + std::to_string(size) + " bytes");
    }
    if (auto const found = little_endian_at<std::uint32_t>(piece, piece_number_at);
        found != static_cast<std::uint32_t>(number.value())) {
        return refuse_piece(number, "its header is that of piece " + std::to_string(found));
    }
    piece_head const head{little_endian_at<std::uint32_t>(piece, count_at),
                          std::int64_t{little_endian_at<std::uint32_t>(piece, used_at)}};
    if (head.used > static_cast<std::int64_t>(piece.size())) {
        return refuse_piece(number, "its " + std::to_string(head.used) + " bytes do not fit into " +
                                        std::to_string(piece.size()));
    }
    if (head.chunks == 0 || payloads_begin(head.chunks) > head.used) {
        return refuse_piece(number, "a table of " + std::to_string(head.chunks) + " chunks in " +
                                        std::to_string(head.used) + " bytes");
    }
    return head;
}

} // namespace

std::string encode_piece_head(piece_index number, std::span<packed_chunk const> chunks) {
    std::string head(piece_magic);
    head.reserve(static_cast<std::size_t>(payloads_begin(chunks.size())));
    append_little_endian(head, piece_version);
    append_little_endian(head, static_cast<std::uint16_t>(packed_header_size));
    append_little_endian(head, static_cast<std::uint32_t>(number.value()));
    append_little_endian(head, static_cast<std::uint32_t>(chunks.size()));
    append_little_endian(head, static_cast<std::uint32_t>(used_bytes(chunks)));
    for (auto const& chunk : chunks) {
        append_entry(head, chunk);
    }
    return head;
}

result<void> read_table(std::span<std::byte const> table, packed_geometry const& geometry, device_offset begin,
                        std::vector<packed_chunk>& to) {
    auto const count = table.size() / packed_limits::entry_size;
    auto used = payloads_begin(count);
    std::int64_t unpacked = 0;
    for (std::size_t i = 0; i < count; ++i) {
        auto const failed = [i](std::string const& reason) {
            return tl::unexpected(error{"chunk " + std::to_string(i) + ": " + reason});
        };
        auto const entry = table.subspan(i * packed_limits::entry_size);
        auto const chunk = read_entry(entry.first<packed_limits::entry_size>(), geometry);
        if (!chunk) {
            return failed(chunk.error().message);
        }
        if (chunk->offset < begin) {
            return failed("begins at " + std::to_string(chunk->offset.value()) +
                          ", before the end of the one before it, " + std::to_string(begin.value()));
        }
        begin = chunk->end();
        used += chunk->packed_length;
        unpacked += chunk->method == chunk_method::zero ? 0 : chunk->raw_length;
        to.push_back(*chunk);
    }
    if (used > geometry.piece_length) {
        return tl::unexpected(error{"its chunks take " + std::to_string(used) + " bytes, a piece has " +
                                    std::to_string(geometry.piece_length)});
    }
    if (unpacked > packed_limits::expansion * std::int64_t{geometry.piece_length}) {
        return tl::unexpected(error{"would unpack to " + std::to_string(unpacked) + " bytes, more than " +
                                    std::to_string(packed_limits::expansion) + " times the piece length"});
    }
    return {};
}

std::int64_t used_bytes(std::span<packed_chunk const> chunks) noexcept {
    auto used = payloads_begin(chunks.size());
    for (auto const& chunk : chunks) {
        used += chunk.packed_length;
    }
    return used;
}

result<std::vector<packed_chunk>> read_piece(std::span<std::byte const> piece, piece_index number,
                                             packed_geometry const& geometry) {
    auto const head = read_head(piece, number);
    if (!head) {
        return tl::unexpected(head.error());
    }
    std::vector<packed_chunk> chunks;
    chunks.reserve(head->chunks);
    auto const table = piece.subspan(packed_header_size, head->chunks * packed_limits::entry_size);
    if (auto const read = read_table(table, geometry, {}, chunks); !read) {
        return refuse_piece(number, read.error().message);
    }
    if (auto const used = used_bytes(chunks); used != head->used) {
        return refuse_piece(number, "its chunks take " + std::to_string(used) + " bytes, its header states " +
                                        std::to_string(head->used));
    }
    if (!is_zero(piece.subspan(static_cast<std::size_t>(head->used)))) {
        return refuse_piece(number, "its padding is not zero");
    }
    return chunks;
}

std::int64_t unpacked_size(std::span<packed_chunk const> chunks) noexcept {
    std::int64_t size = 0;
    for (auto const& chunk : chunks) {
        size += chunk.method == chunk_method::zero ? 0 : chunk.raw_length;
    }
    return size;
}

struct chunk_unpacker::context {
    struct free_context {
        void operator()(ZSTD_DCtx* which) const noexcept { ZSTD_freeDCtx(which); }
    };
    std::unique_ptr<ZSTD_DCtx, free_context> zstd{ZSTD_createDCtx()};
};

chunk_unpacker::chunk_unpacker()
    : m_context(std::make_unique<context>()) {
    if (!m_context->zstd) {
        throw std::bad_alloc();
    }
}
chunk_unpacker::chunk_unpacker(chunk_unpacker&& other) noexcept = default;
chunk_unpacker& chunk_unpacker::operator=(chunk_unpacker&& other) noexcept = default;
chunk_unpacker::~chunk_unpacker() = default;

result<void> chunk_unpacker::unpack(packed_chunk const& chunk, std::span<std::byte const> payload,
                                    std::span<std::byte> raw) {
    auto const failed = [](std::string reason) { return tl::unexpected(error{std::move(reason)}); };
    if (payload.size() != static_cast<std::size_t>(chunk.packed_length) ||
        raw.size() != static_cast<std::size_t>(chunk.raw_length)) {
        return failed("the memory does not match its lengths");
    }
    if (chunk.method == chunk_method::zero) {
        std::ranges::fill(raw, std::byte{});
        return {};
    }
    if (chunk.method == chunk_method::stored) {
        std::ranges::copy(payload, raw.begin());
    } else {
        // A frame may be followed by others, or state no size; a chunk is exactly one that does.
        if (ZSTD_findFrameCompressedSize(payload.data(), payload.size()) != payload.size() ||
            ZSTD_getFrameContentSize(payload.data(), payload.size()) != raw.size()) {
            return failed("its payload is not one zstd frame of " + std::to_string(raw.size()) + " bytes");
        }
        auto const size =
            ZSTD_decompressDCtx(m_context->zstd.get(), raw.data(), raw.size(), payload.data(), payload.size());
        if (ZSTD_isError(size) != 0) {
            return failed(std::string("cannot be decompressed: ") + ZSTD_getErrorName(size));
        }
        if (size != raw.size()) {
            return failed("decompresses to " + std::to_string(size) + " bytes, not to " + std::to_string(raw.size()));
        }
    }
    return digest_of(raw) == chunk.digest ? result<void>() : failed("its bytes do not match its XXH3");
}

result<void> unpack_piece(chunk_unpacker& unpacker, std::span<std::byte const> piece, piece_index number,
                          std::span<packed_chunk const> chunks, std::span<std::byte> raw) {
    auto payloads = piece.subspan(static_cast<std::size_t>(payloads_begin(chunks.size())));
    for (std::size_t i = 0; i < chunks.size(); ++i) {
        auto const& chunk = chunks[i];
        if (chunk.method == chunk_method::zero) {
            continue;
        }
        auto const packed = static_cast<std::size_t>(chunk.packed_length);
        auto const length = static_cast<std::size_t>(chunk.raw_length);
        if (auto const unpacked = unpacker.unpack(chunk, payloads.first(packed), raw.first(length)); !unpacked) {
            return refuse_piece(number, i, unpacked.error().message);
        }
        payloads = payloads.subspan(packed);
        raw = raw.subspan(length);
    }
    return {};
}

} // namespace seedbed
