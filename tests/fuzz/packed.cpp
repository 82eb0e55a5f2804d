// A packed image, by the first byte: a piece (0), an index (1), a description (2), a .torrent (3) or a domain log of
// partclone (4). Each is refused with one line, or fits together: chunks ascend, do not overlap and lie within the
// source.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/image/packed_image.hpp"
#include "core/image/packed_piece.hpp"
#include "core/image/partclone_run.hpp"
#include "fuzz_input.hpp"

using namespace seedbed;

namespace {

constexpr packed_geometry geometry{byte_count{1 << 20}, 512, 64 << 10};

void require_order(std::span<packed_chunk const> chunks, packed_geometry const& within) {
    device_offset end;
    for (auto const& chunk : chunks) {
        fuzz::require(chunk.offset >= end && chunk.raw_length > 0);
        fuzz::require(chunk.raw_length % within.sector_size == 0 && chunk.offset.value() % within.sector_size == 0);
        end = chunk.end();
        fuzz::require(end.value() <= within.source_size.value());
    }
}

void read_one_piece(std::string const& bytes) {
    auto const piece = std::as_bytes(std::span(bytes.data(), bytes.size()));
    auto const chunks = read_piece(piece, piece_index{0}, geometry);
    if (!chunks) {
        return fuzz::require_line(chunks.error().message);
    }
    require_order(*chunks, geometry);
    fuzz::require(used_bytes(*chunks) <= static_cast<std::int64_t>(bytes.size()));
    auto const head = encode_piece_head(piece_index{0}, *chunks);
    fuzz::require(bytes.compare(0, head.size(), head) == 0);
    chunk_unpacker unpacker;
    std::vector<std::byte> raw(static_cast<std::size_t>(unpacked_size(*chunks)));
    if (auto const unpacked = unpack_piece(unpacker, piece, piece_index{0}, *chunks, raw); !unpacked) {
        fuzz::require_line(unpacked.error().message);
    }
}

void read_one_index(std::string const& bytes) {
    auto const pieces = bytes.empty() ? 0 : std::int64_t{static_cast<std::uint8_t>(bytes[0])};
    auto const index = packed_index::parse(bytes.empty() ? bytes : bytes.substr(1), geometry, pieces, 10'000);
    if (!index) {
        return fuzz::require_line(index.error().message);
    }
    require_order(index->chunks(), geometry);
    fuzz::require(index->encode() == (bytes.empty() ? bytes : bytes.substr(1)));
    fuzz::require(index->used().value() <= geometry.source_size.value());
}

void read_one_description(std::string const& bytes) {
    auto const description = decode_description(bytes);
    if (!description) {
        return fuzz::require_line(description.error().message);
    }
    fuzz::require(decode_description(encode_description(*description)) == *description);
}

void read_one_torrent(std::string const& bytes) {
    packed_image_limits limits;
    limits.chunks = 10'000;
    limits.pieces = 10'000;
    auto const image = parse_packed_image(bytes, "fuzz", limits);
    if (!image) {
        return fuzz::require_line(image.error().message);
    }
    fuzz::require(is_packed_torrent(bytes));
    fuzz::require(image->layout().piece_count() == image->piece_count());
    require_order(image->index.chunks(), image->geometry);
}

void read_one_log(std::string const& bytes) {
    auto const used = parse_domain_log(bytes, "fuzz", 1 << 20);
    if (!used) {
        return fuzz::require_line(used.error().message);
    }
    std::int64_t end = 0;
    for (auto const& each : *used) {
        fuzz::require(each.device_offset >= end && each.length > 0);
        end = each.device_offset + each.length;
    }
    fuzz::require(end <= 1 << 20);
}

} // namespace

extern "C" int LLVMFuzzerTestOneInput(std::uint8_t const* data, std::size_t size) {
    fuzz::input input(data, size);
    switch (input.byte() % 5) {
    case 0:
        read_one_piece(input.rest());
        break;
    case 1:
        read_one_index(input.rest());
        break;
    case 2:
        read_one_description(input.rest());
        break;
    case 3:
        read_one_torrent(input.rest());
        break;
    default:
        read_one_log(input.rest());
        break;
    }
    return 0;
}
