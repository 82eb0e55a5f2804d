// Raw images: whenever the power fails, a system recognises nothing on the device, or the unchanged old content, or the
// whole image; the same deployment then completes it.

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <malloc.h>

#include "core/image/extent_map.hpp"
#include "core/image/torrent_file.hpp"
#include "power_cut_rig.hpp"
#include "seen_content.hpp"
#include "support/device_bytes.hpp"
#include "support/sample_layouts.hpp"

using namespace seedbed;
using test::device_content;
using test::mib;
using test::power_cut_disk;

namespace {

int const ends_cuts_per_seed = test::cuts(200);
constexpr std::int64_t ends_device_size = 4 * mib;
constexpr std::int32_t ends_piece_length = 256 << 10;

/// A disk of random bytes with a partition table.
device_content disk_with(std::vector<partition_entry> partitions, std::uint64_t seed) {
    return test::with_table(test::pattern(static_cast<std::size_t>(ends_device_size), seed),
                            test::gpt_layout(ends_device_size, std::move(partitions)));
}

/// A partition of random bytes.
device_content swap_with(char label, std::uint64_t seed) {
    return test::with_swap_signature(test::pattern(static_cast<std::size_t>(ends_device_size), seed), label);
}

/// The image of \p source, without a gap in its middle.
test::cut_image raw_image_of(device_content const& source) {
    auto const extents = *extent_map::make({{0, 2 * mib}, {2 * mib + 100'352, 2 * mib - 100'352}});
    test::cut_image image;
    image.name = "sda";
    image.piece_length = ends_piece_length;
    image.device_size = ends_device_size;
    for (auto const& each : extents.extents()) {
        auto const begin = source.begin() + each.device_offset;
        image.stream.insert(image.stream.end(), begin, begin + each.length);
    }
    std::vector<sha1_digest> hashes;
    for (int piece = 0; piece < image.pieces(); ++piece) {
        hashes.push_back(image.hash(piece));
    }
    image.torrent = make_torrent(extents, hashes, {"sda", image.piece_length, {}, "", false}).value().bytes;
    image.visit = [extents, stream = image.stream](int index, test::cut_image::visitor const& visit) {
        auto const from = std::int64_t{index} * ends_piece_length;
        auto rest = std::span(stream).subspan(static_cast<std::size_t>(from));
        rest = rest.first(std::min<std::size_t>(rest.size(), ends_piece_length));
        extents.for_each_slice(torrent_offset{from}, std::ssize(rest), [&](extent const& slice) {
            visit(slice.device_offset, rest.first(static_cast<std::size_t>(slice.length)));
            rest = rest.subspan(static_cast<std::size_t>(slice.length));
        });
    };
    return image;
}

/// Deployments to a device that holds something else of the same kind.
class ends_rig final : public test::cut_rig {
public:
    ends_rig(device_content const& source, device_content before, std::uint32_t seed)
        : cut_rig(raw_image_of(source), seed)
        , m_before(std::move(before))
        , m_shown_before(m_viewer.shown_by(m_before))
        , m_shown_after(m_viewer.shown_by(source)) {
        // Copies of the disk reuse memory, which the kernel would clear each time.
        ::mallopt(M_MMAP_THRESHOLD, 8 * mib);
        ::mallopt(M_TRIM_THRESHOLD, 512 * mib);
        REQUIRE_FALSE(m_shown_before.empty());
        REQUIRE_FALSE(m_shown_after.empty());
        REQUIRE(m_shown_before != m_shown_after);
    }

    std::map<image_state, int> cuts_in;
    int whole = 0;  ///< lives that ended with the whole image, although the deployment was not done
    int erased = 0; ///< lives that ended with nothing recognisable

private:
    device_content content_before() override { return m_before; }
    [[nodiscard]] bool trusts_checkpoints() const override { return false; } // begin_life() writes to the file
    /// A third of the cuts at the first writes, which erase the old ends, a third while the new ones are written.
    int choose_steps() override {
        m_kind = pick(3);
        m_first = true;
        return m_kind == 2 ? static_cast<int>(1 + pick(400)) : 100'000;
    }
    /// libblkid, which looks for old signatures, reads the file.
    void begin_life(power_cut_disk const& disk) override {
        test::overwrite_file(device_path(), disk.contents());
        m_state = image_state::opening;
    }
    void during_life(power_cut_disk& disk, image_state state) override {
        if (m_kind == 0 && std::exchange(m_first, false)) {
            disk.end_after_write(static_cast<int>(1 + pick(24)));
        }
        if (m_kind == 1 && state == image_state::flushing && std::exchange(m_state, state) != state) {
            disk.end_after(static_cast<int>(1 + pick(30)));
        }
    }
    void end_life(power_cut_disk const& disk, image_state last) override {
        auto const contents = disk.contents();
        auto const medium = disk.medium();
        ++cuts_in[last];
        check_shown(medium, last);
        if (!test::equal_bytes(contents, medium)) {
            check_shown(contents, last);
        }
    }

    void check_shown(device_content const& bytes, image_state last) {
        auto const shown = m_viewer.shown_by(bytes);
        INFO("shown: " << shown << log());
        if (shown == m_shown_after) {
            whole += last == image_state::seeding ? 0 : 1;
            for (int piece = 0; piece < image.pieces(); ++piece) {
                INFO("piece " << piece);
                CHECK(image.is_on(bytes, piece));
            }
        } else if (shown.empty()) {
            ++erased;
        } else {
            CHECK(shown == m_shown_before);
            CHECK(test::equal_bytes(bytes, m_before));
        }
    }
    test::content_viewer const m_viewer;
    device_content const m_before;
    std::string const m_shown_before;
    std::string const m_shown_after;
    image_state m_state = image_state::opening; ///< the last one in this life
    unsigned m_kind = 0;                        ///< see choose_steps()
    bool m_first = true;                        ///< turn of this life
};

void cut_often(device_content const& source, device_content const& before, std::uint32_t seed) {
    ends_rig rig(source, before, seed);
    while (rig.cuts < ends_cuts_per_seed) {
        rig.deploy();
    }
    CHECK(rig.resumed > ends_cuts_per_seed);
    for (auto const state : {image_state::checking, image_state::downloading, image_state::flushing}) {
        CHECK(rig.cuts_in[state] > 0);
    }
    CHECK(rig.whole > 0); // else no cut came near the end
    CHECK(rig.erased > ends_cuts_per_seed / 2);
}

} // namespace

TEST_CASE("a raw disk shows a partition table only if it is whole, whenever the power fails") {
    for (auto const seed : test::seeds(1)) {
        CAPTURE(seed);
        cut_often(disk_with({test::gpt_partition(1, mib, mib), test::gpt_partition(2, 2 * mib, mib)}, 1),
                  disk_with({test::gpt_partition(1, mib, 2 * mib)}, 2), seed);
    }
}

TEST_CASE("a raw partition shows its content only if it is whole, whenever the power fails") {
    for (auto const seed : test::seeds(1)) {
        CAPTURE(seed);
        cut_often(swap_with('b', 3), swap_with('a', 4), seed);
    }
}
