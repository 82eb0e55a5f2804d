#include "core/image/packed_rebuild.hpp"

#include <algorithm>
#include <cstring>

#include "core/image/packed_piece.hpp"
#include "core/image/sha1.hpp"

namespace seedbed {

namespace {

constexpr int usual_level = 1;

/// Lays the payloads of the chunks out in a piece. Ends at the first chunk that does not become what the index states.
rebuilt_piece pack_again(std::span<packed_chunk const> chunks, std::span<std::byte const> raw, chunk_packer& packer,
                         std::span<std::byte> payloads) {
    for (auto const& chunk : chunks) {
        if (chunk.method == chunk_method::zero) {
            continue;
        }
        auto const bytes = raw.first(static_cast<std::size_t>(chunk.raw_length));
        raw = raw.subspan(bytes.size());
        auto const made = packer.pack(chunk.offset, bytes);
        if (made.chunk != chunk) {
            return made.chunk.digest != chunk.digest ? rebuilt_piece::other_bytes : rebuilt_piece::other_frames;
        }
        auto const payload = made.chunk.method == chunk_method::stored ? bytes : std::span<std::byte const>(made.frame);
        std::ranges::copy(payload, payloads.begin());
        payloads = payloads.subspan(payload.size());
    }
    std::ranges::fill(payloads, std::byte{});
    return rebuilt_piece::equal;
}

} // namespace

int packing_level(packed_image const& image) noexcept {
    return image.description.level > 0 ? image.description.level : usual_level;
}

result<rebuilt_piece, io_error> rebuild_piece(packed_image const& image, piece_index number, block_device& device,
                                              chunk_placement const& placement, chunk_source from, chunk_packer& packer,
                                              raw_buffer& buffer, std::span<std::byte> piece) {
    auto const chunks = image.index.chunks_of(number);
    auto const raw = buffer.of_size(unpacked_size(chunks));
    auto const whole = [](std::int64_t) { return true; };
    if (auto const read = read_chunks(device, placement, chunks, raw, from, whole); !read) {
        return tl::unexpected(read.error());
    }
    auto const head = encode_piece_head(number, chunks);
    std::memcpy(piece.data(), head.data(), head.size());
    if (auto const packed = pack_again(chunks, raw, packer, piece.subspan(head.size()));
        packed != rebuilt_piece::equal) {
        return packed;
    }
    sha1_sum sum;
    sum.update(piece);
    return sum.final() == image.hash_of(number) ? rebuilt_piece::equal : rebuilt_piece::other_frames;
}

} // namespace seedbed
