// Raw images: what a checkpoint claims is on the disk, whenever the power fails.

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include <catch2/catch.hpp>

#include "core/foundation/block_size.hpp"
#include "core/image/extent_map.hpp"
#include "core/image/torrent_file.hpp"
#include "power_cut_rig.hpp"
#include "support/device_bytes.hpp"

using namespace seedbed;
using test::cut_image;
using test::cut_rig;

namespace {

int const cuts_per_seed = test::cuts(250);

/// Gaps, ends within sectors and within blocks, one extent shorter than a block, a short last piece.
extent_map const& image_extents() {
    static auto const all =
        *extent_map::make({{512, 100'000}, {131'072, 3'000}, {140'000, 200'000}, {400'000, 50'123}});
    return all;
}

cut_image raw_image() {
    cut_image image;
    image.name = "sda1";
    image.piece_length = 4 * block_size;
    image.device_size = 470'016;
    image.ends = {20'000, 10'000}; // the first piece and the last one
    image.stream = test::pattern(static_cast<std::size_t>(image_extents().total_size()), 20'000); // the extents, joined
    std::vector<sha1_digest> hashes;
    for (int piece = 0; piece < image.pieces(); ++piece) {
        hashes.push_back(image.hash(piece));
    }
    image.torrent = make_torrent(image_extents(), hashes, {"sda1", image.piece_length, {}, "", false}).value().bytes;
    image.visit = [stream = image.stream, length = image.piece_length](int index, cut_image::visitor const& visit) {
        auto const from = std::int64_t{index} * length;
        auto rest = std::span(stream).subspan(static_cast<std::size_t>(from));
        rest = rest.first(std::min(rest.size(), static_cast<std::size_t>(length)));
        image_extents().for_each_slice(torrent_offset{from}, std::ssize(rest), [&](extent const& slice) {
            visit(slice.device_offset, rest.first(static_cast<std::size_t>(slice.length)));
            rest = rest.subspan(static_cast<std::size_t>(slice.length));
        });
    };
    return image;
}

} // namespace

TEST_CASE("a checkpoint claims no piece that a power cut at a random moment has lost") {
    for (auto const seed : test::seeds()) {
        CAPTURE(seed);
        cut_rig rig(raw_image(), seed);
        while (rig.cuts < cuts_per_seed) {
            rig.deploy();
        }
        // Else the disk forgave everything, or the checkpoints promised nothing.
        CHECK(rig.damaged_writes > cuts_per_seed / 2);
        CHECK(rig.claims > cuts_per_seed);
        CHECK(rig.resumed > cuts_per_seed / 2);
    }
}
