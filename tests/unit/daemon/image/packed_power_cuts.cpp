// Packed images of disks: whenever the power fails, the disk shows no partition table, or is whole; and the same
// deployment completes it.

#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <malloc.h>

#include "core/device/disk_content.hpp"
#include "core/layout/table_reader.hpp"
#include "core/layout/table_writer.hpp"
#include "power_cut_rig.hpp"
#include "seen_content.hpp"
#include "support/packed_sample.hpp"
#include "support/sample_layouts.hpp"

using namespace seedbed;
using test::device_content;
using test::mib;
using test::power_cut_disk;

namespace {

int const cuts_per_seed = test::cuts(200);
constexpr std::int64_t disk_size = 4 * mib;

/// Two partitions.
disk_layout new_layout() {
    return test::gpt_layout(disk_size, {test::gpt_partition(1, mib, mib), test::gpt_partition(2, 2 * mib, mib)});
}

/// Of the disk that is overwritten: one partition.
disk_layout old_layout() {
    return test::gpt_layout(disk_size, {test::gpt_partition(1, mib, 2 * mib)});
}

table_bytes table_of(disk_layout const& layout) {
    auto made = make_table(layout);
    REQUIRE(made);
    return *std::move(made);
}

packed_sample sample_disk() {
    return make_packed_sample(mixed_bytes(disk_size), {{mib, mib}, {2 * mib, mib / 2}}, 64 << 10, "disk.sbi",
                              new_layout());
}

test::cut_image cut_image_of(packed_sample const& sample) {
    test::cut_image image;
    image.name = "disk.sbi";
    image.torrent = sample.torrent.bytes;
    image.piece_length = 64 << 10;
    image.stream = sample.file;
    image.device_size = disk_size;
    image.visit = [packed = sample.image(), source = sample.source](int index, test::cut_image::visitor const& visit) {
        for (auto const& chunk : packed.index.chunks_of(piece_index{index})) {
            auto const from = static_cast<std::size_t>(chunk.offset.value());
            visit(chunk.offset.value(), std::span(source).subspan(from, static_cast<std::size_t>(chunk.raw_length)));
        }
    };
    return image;
}

/// Deployments to a disk with another table.
class disk_rig final : public test::cut_rig {
public:
    disk_rig(packed_sample sample, std::uint32_t seed)
        : cut_rig(cut_image_of(sample), seed)
        , m_sample(std::move(sample)) {
        // Copies of the disk reuse memory, which the kernel would clear each time: half of the test's processor time.
        ::mallopt(M_MMAP_THRESHOLD, 8 * mib);
        ::mallopt(M_TRIM_THRESHOLD, 512 * mib);
    }

    std::map<image_state, int> cuts_in;
    int whole = 0; ///< lives that ended with the whole disk, although the deployment was not done

private:
    device_content content_before() override {
        m_before = test::with_table(cut_rig::content_before(), old_layout());
        return m_before;
    }
    [[nodiscard]] bool trusts_checkpoints() const override { return false; } // begin_life() writes to the file
    int choose_steps() override {
        m_cut_late = pick(3) > 0;
        return m_cut_late ? 100'000 : static_cast<int>(1 + pick(400));
    }
    /// libblkid, which looks for old signatures, reads the file.
    void begin_life(power_cut_disk const& disk) override {
        test::overwrite_file(device_path(), disk.contents());
        m_state = image_state::opening;
    }
    void during_life(power_cut_disk& disk, image_state state) override {
        if (m_cut_late && state == image_state::verifying && std::exchange(m_state, state) != state) {
            // Nothing else is written in this state: each of the table's writes and flushes takes two steps.
            disk.end_after_write(static_cast<int>(1 + pick(12)));
        }
    }
    void end_life(power_cut_disk const& disk, image_state last) override {
        if (last != image_state::seeding) {
            ++cuts_in[last];
            whole += shows_whole_disk(disk.contents()) ? 1 : 0;
        }
        auto const contents = disk.contents();
        auto const medium = disk.medium();
        // A later start erases the table of an earlier one, which cannot erase both copies at once.
        auto const erases = last == image_state::opening || last == image_state::checking;
        check_table(medium, erases);
        if (!test::equal_bytes(contents, medium)) {
            check_table(contents, erases);
        }
    }
    void check_done(device_content const&, device_content const& medium) override { CHECK(shows_whole_disk(medium)); }

    [[nodiscard]] bool shows_whole_disk(device_content const& bytes) const {
        return is_source(bytes) && std::ranges::all_of(m_table.runs, [&](table_bytes::run const& run) {
                   return test::equal_bytes(
                       run.bytes, std::span(bytes).subspan(static_cast<std::size_t>(run.offset), run.bytes.size()));
               });
    }
    /// Whether the image's bytes are those of \p wanted.
    [[nodiscard]] bool has_bytes_of(device_content const& wanted, device_content const& bytes) const {
        return std::ranges::all_of(m_sample.extents, [&](extent const& each) {
            auto const at = static_cast<std::size_t>(each.device_offset);
            auto const length = static_cast<std::size_t>(each.length);
            return test::equal_bytes(std::span(wanted).subspan(at, length), std::span(bytes).subspan(at, length));
        });
    }
    [[nodiscard]] bool is_source(device_content const& bytes) const { return has_bytes_of(m_sample.source, bytes); }

    /// What a system sees: no table, the whole disk, or the old disk, of which nothing is overwritten. \param erases
    /// whether one of the table's two copies may be gone.
    void check_table(device_content const& bytes, bool erases) {
        auto const file = m_viewer.file_of(bytes);
        INFO(log());
        if (auto const seen = read_disk_layout(file); seen && seen->partitions.size() == 2) {
            CHECK((erases ? is_source(bytes) : shows_whole_disk(bytes)));
        } else if (seen || !probe_content(file).value().partition_table.empty()) {
            // A torn write may leave a table that is seen and cannot be read.
            CHECK((has_bytes_of(m_before, bytes) || (erases && is_source(bytes))));
        }
    }
    packed_sample const m_sample;
    table_bytes const m_table = table_of(new_layout());
    test::content_viewer const m_viewer;
    device_content m_before;
    image_state m_state = image_state::opening; ///< the last one in this life
    bool m_cut_late = false;                    ///< while the table is written
};

} // namespace

TEST_CASE("a disk shows a partition table only if it is whole, whenever the power fails") {
    for (auto const seed : test::seeds(1)) {
        CAPTURE(seed);
        disk_rig rig(sample_disk(), seed);
        while (rig.cuts < cuts_per_seed) {
            rig.deploy();
        }
        CHECK(rig.damaged_writes > cuts_per_seed / 10); // few, but each is a whole piece
        CHECK(rig.resumed > cuts_per_seed);
        for (auto const state : {image_state::checking, image_state::downloading, image_state::verifying}) {
            CHECK(rig.cuts_in[state] > 0);
        }
        CHECK(rig.whole > 0); // else no cut came near the table
    }
}
