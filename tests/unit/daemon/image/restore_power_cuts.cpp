// `seedbed restore`: whenever the power fails, or SIGKILL ends the program, a system recognises nothing on the device,
// or its old content, or the whole image; and the same command completes it.

#include "daemon/image/packed_restoration.hpp"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <map>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "power_cut_rig.hpp"
#include "seen_content.hpp"
#include "support/packed_sample.hpp"
#include "support/power_cut_disk.hpp"
#include "support/sample_layouts.hpp"

using namespace seedbed;
using test::device_content;
using test::mib;
using test::overwrite_file;
using test::power_cut_disk;

namespace {

int const restore_cuts_per_seed = test::cuts(200);
constexpr std::int64_t restored_size = 4 * mib;
constexpr int no_end = 1'000'000; ///< steps

/// Restorations to a device that holds something else of the same kind.
class restore_rig {
public:
    restore_rig(packed_sample sample, device_content before, std::uint32_t seed)
        : m_sample(std::move(sample))
        , m_before(std::move(before))
        , m_random(seed)
        , m_disk(m_before, seed) {
        std::ofstream(m_packed, std::ios::binary)
            .write(reinterpret_cast<char const*>(m_sample.file.data()), std::ssize(m_sample.file));
        m_shown_before = m_viewer.shown_by(m_before);
        REQUIRE_FALSE(m_shown_before.empty());
        // A life without an end shows the number of steps, and what is to be seen at the end.
        REQUIRE(live(no_end, power_cut_disk::loss::by_kill));
        m_steps = no_end - m_disk.steps_left();
        m_disk.end_now(power_cut_disk::loss::everything);
        REQUIRE(has_image(m_disk.medium()));
        m_shown_after = m_viewer.shown_by(m_disk.medium());
        REQUIRE_FALSE(m_shown_after.empty());
        REQUIRE(m_shown_after != m_shown_before);
    }

    /// From the old content to the whole image, through any number of cuts.
    void restore() {
        put_old_content();
        for (bool done = false; !done;) {
            auto const how =
                static_cast<power_cut_disk::loss>(pick(static_cast<unsigned>(power_cut_disk::last_loss) + 1));
            done = live(choose_steps(), how);
            m_disk.end_now(how);
            ++cuts;
            check(m_disk.medium(), done);
            check(m_disk.contents(), done);
        }
    }

    int cuts = 0;
    std::map<std::string, int> seen; ///< what the device showed

private:
    [[nodiscard]] unsigned pick(unsigned below) { return static_cast<unsigned>(m_random() % below); }
    /// A third of the cuts come among the first steps, which erase what a system recognises, and a third among the
    /// last, which write it.
    [[nodiscard]] int choose_steps() {
        switch (pick(3)) {
        case 0:
            return static_cast<int>(1 + pick(24));
        case 1:
            return m_steps + 2 - static_cast<int>(pick(40));
        default:
            return static_cast<int>(1 + pick(static_cast<unsigned>(m_steps)));
        }
    }
    void put_old_content() {
        m_disk.power_on(no_end, power_cut_disk::loss::by_kill, [] {});
        auto const device = m_disk.open("old");
        REQUIRE(device->write(0, std::span<std::byte const>(m_before)));
        REQUIRE(device->flush());
    }

    /// Runs the command until it ends, or until the disk does. \return whether it has succeeded.
    [[nodiscard]] bool live(int steps, power_cut_disk::loss how) {
        overwrite_file(m_target, m_disk.contents()); // libblkid, which looks for old signatures, reads the file
        m_disk.power_on(steps, how, [] {});
        auto const plan = packed_plan::make(m_image, m_target, {});
        auto const file = open_packed_file(m_packed, m_image);
        REQUIRE(plan);
        REQUIRE(file);
        packed_restoration running(m_image, *plan, m_disk.open(m_target));
        restore_options how_to;
        how_to.placement = plan->placement();
        how_to.threads = 1; // each life takes the same steps
        if (!running.prepare(pick(2) == 0, {})) {
            return false;
        }
        auto const written = running.write(*file, how_to);
        if (!written || !*written) {
            return false;
        }
        auto const verifies = steps == no_end || pick(2) == 0;
        if (verifies && !running.verify(how_to).ok()) {
            CHECK(m_disk.ended()); // what is written, is on the medium
            return false;
        }
        return running.finish({}).has_value() && !m_disk.ended();
    }

    void check(device_content const& bytes, bool done) {
        auto const shown = m_viewer.shown_by(bytes);
        INFO("shown: " << shown);
        if (done) {
            CHECK(shown == m_shown_after);
        }
        if (shown == m_shown_after) {
            ++seen["whole"];
            CHECK(has_image(bytes));
        } else if (shown.empty()) {
            ++seen["nothing"];
        } else {
            // Of a table, one copy may be gone.
            ++seen["old"];
            CHECK(has_old_bytes(bytes));
        }
    }
    [[nodiscard]] bool has(device_content const& wanted, device_content const& bytes) const {
        return std::ranges::all_of(m_sample.extents, [&](extent const& each) {
            auto const at = static_cast<std::size_t>(each.device_offset);
            auto const length = static_cast<std::size_t>(each.length);
            return test::equal_bytes(std::span(wanted).subspan(at, length), std::span(bytes).subspan(at, length));
        });
    }
    [[nodiscard]] bool has_image(device_content const& bytes) const { return has(m_sample.source, bytes); }
    /// Nothing of the image has been written, or the last life has begun to erase a whole one.
    [[nodiscard]] bool has_old_bytes(device_content const& bytes) const {
        return has(m_before, bytes) || has_image(bytes);
    }

    test::content_viewer const m_viewer;
    std::string const m_packed = (m_viewer.folder() / "image.sbi").string();
    std::string const m_target = (m_viewer.folder() / "target").string();
    packed_sample const m_sample;
    packed_image const m_image = m_sample.image();
    device_content const m_before;
    std::mt19937 m_random;
    power_cut_disk m_disk;
    int m_steps = 0; ///< of a whole life
    std::string m_shown_before;
    std::string m_shown_after;
};

void cut_restorations(packed_sample const& sample, device_content const& before, std::uint32_t seed) {
    restore_rig rig(sample, before, seed);
    while (rig.cuts < restore_cuts_per_seed) {
        rig.restore();
    }
    CHECK(rig.seen["old"] > 0);
    CHECK(rig.seen["nothing"] > restore_cuts_per_seed / 2);
    CHECK(rig.seen["whole"] > 0);
}

} // namespace

TEST_CASE("a disk that is restored shows a table only if it is whole, whenever the power fails") {
    auto const layout =
        test::gpt_layout(restored_size, {test::gpt_partition(1, mib, mib), test::gpt_partition(2, 2 * mib, mib)});
    auto const old = test::gpt_layout(restored_size, {test::gpt_partition(1, mib, 2 * mib)});
    auto const sample =
        make_packed_sample(mixed_bytes(restored_size), {{mib, mib}, {2 * mib, mib / 2}}, 64 << 10, "disk.sbi", layout);
    for (auto const seed : test::seeds(1)) {
        CAPTURE(seed);
        cut_restorations(sample, test::with_table(mixed_bytes(restored_size, 2), old), seed);
    }
}

TEST_CASE("a partition that is restored shows its content only if it is whole, whenever the power fails") {
    auto const source = test::with_swap_signature(mixed_bytes(restored_size), 'b');
    auto const sample = make_packed_sample(source, {{0, 2 * mib}, {2 * mib + 100'352, 2 * mib - 100'352}}, 64 << 10);
    for (auto const seed : test::seeds(1)) {
        CAPTURE(seed);
        cut_restorations(sample, test::with_swap_signature(mixed_bytes(restored_size, 2), 'a'), seed);
    }
}
