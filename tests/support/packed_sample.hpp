#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/image/extent_map.hpp"
#include "core/image/packed_image.hpp"
#include "core/image/packed_writer.hpp"
#include "core/image/sha1.hpp"
#include "core/layout/disk_layout.hpp"

namespace seedbed {

/// A packed image in memory, and what it was made from.
struct packed_sample {
    std::vector<std::byte> source;
    std::vector<extent> extents; ///< in the image
    std::vector<std::byte> file;
    torrent_bytes torrent;

    [[nodiscard]] packed_image image() const {
        auto parsed = parse_packed_image(torrent.bytes, "sample");
        INFO((parsed ? std::string() : parsed.error().message));
        REQUIRE(parsed);
        return *parsed;
    }
    [[nodiscard]] std::span<std::byte const> piece(packed_image const& image, std::int32_t number) const {
        auto const at = piece_index{number};
        return std::span(file).subspan(
            static_cast<std::size_t>((image.layout().begin_of(at) - torrent_offset{}).value()),
            static_cast<std::size_t>(image.layout().piece_size(at).value()));
    }
};

/// Bytes of which a third is random, a third is text and a third is zero, in runs of about 300 KB.
inline std::vector<std::byte> mixed_bytes(std::size_t size, std::uint32_t seed = 1) {
    std::mt19937 random(seed);
    std::vector<std::byte> bytes(size);
    for (std::size_t at = 0, kind = 0; at < size; ++kind) {
        auto const end = std::min(size, at + 1 + random() % 600'000);
        for (; at < end && kind % 3 != 2; ++at) {
            bytes[at] = kind % 3 == 0 ? static_cast<std::byte>(random()) : static_cast<std::byte>('a' + random() % 4);
        }
        at = end;
    }
    return bytes;
}

/// Packs a partition's bytes, or a disk's.
/// \param extents in whole sectors of 512 bytes. \param layout of a disk. \param level of zstd, which the image states
/// unless it is 1.
inline packed_sample make_packed_sample(std::vector<std::byte> source, std::vector<extent> extents,
                                        std::int32_t piece_length = 1 << 20, std::string name = "sda1.sbi",
                                        std::optional<disk_layout> layout = {}, int level = 1) {
    packed_sample made{std::move(source), std::move(extents), {}, {}};
    packed_geometry const geometry{byte_count{static_cast<std::int64_t>(made.source.size())}, 512, piece_length};
    std::vector<sha1_digest> hashes;
    packed_writer writer(geometry, chunk_packer(level), [&](piece_index, made_piece piece) {
        sha1_sum sum;
        for (auto const part : {std::as_bytes(std::span(piece.head)), std::span<std::byte const>(piece.body)}) {
            sum.update(part);
            made.file.insert(made.file.end(), part.begin(), part.end());
        }
        hashes.push_back(sum.final());
        return std::move(piece.body);
    });
    chunk_packer packer(level);
    auto const longest = std::int64_t{packed_writer::chunk_length(piece_length)};
    for (auto const& each : made.extents) {
        for (std::int64_t at = 0; at < each.length; at += longest) {
            auto const offset = each.device_offset + at;
            auto const raw = std::span<std::byte const>(made.source)
                                 .subspan(static_cast<std::size_t>(offset),
                                          static_cast<std::size_t>(std::min(longest, each.length - at)));
            auto chunk = packer.pack(device_offset{offset}, raw);
            chunk.apart = at == 0;
            writer.add(chunk, raw);
        }
    }
    writer.finish();
    packed_description description;
    description.kind = layout ? image_kind::disk : image_kind::partition;
    description.source_size = geometry.source_size;
    description.sector_size = geometry.sector_size;
    description.content = layout ? "gpt" : "ext4";
    description.layout = std::move(layout);
    description.level = level == 1 ? 0 : level;
    torrent_details details;
    details.name = std::move(name);
    details.piece_length = piece_length;
    details.creator = "Seedbed test";
    auto torrent = make_packed_torrent(byte_count{writer.packed_size()}, hashes, description, writer.index(), details);
    INFO((torrent ? std::string() : torrent.error().message));
    REQUIRE(torrent);
    made.torrent = std::move(*torrent);
    return made;
}

/// Makes the .torrent of a sample again after its file was changed: the hashes are right, the index is the old one.
inline void hash_again(packed_sample& sample) {
    auto const image = sample.image();
    std::vector<sha1_digest> hashes;
    for (std::int32_t piece = 0; piece < image.piece_count(); ++piece) {
        sha1_sum sum;
        sum.update(sample.piece(image, piece));
        hashes.push_back(sum.final());
    }
    torrent_details details;
    details.name = image.name;
    details.piece_length = image.geometry.piece_length;
    auto torrent = make_packed_torrent(image.packed_size, hashes, image.description, image.index, details);
    REQUIRE(torrent);
    sample.torrent = std::move(*torrent);
}

} // namespace seedbed
