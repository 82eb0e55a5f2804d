// The steps around the chunks of a packed image's deployment.

#include "daemon/image/packed_plan.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "core/device/disk_content.hpp"
#include "core/device/file_block_device.hpp"
#include "core/foundation/find_program.hpp"
#include "core/layout/table_reader.hpp"
#include "support/fake_block_device.hpp"
#include "support/loop_device.hpp"
#include "support/open_to_write.hpp"
#include "support/packed_sample.hpp"
#include "support/sample_layouts.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace fs = std::filesystem;
using cause = packed_plan_failure::cause;
using strings = std::vector<std::string>;

namespace {

/// A disk of 12 MiB: bytes, a swap area, and a FAT, whose boot sector states its position, after it.
disk_layout small_layout() {
    auto layout = sample_gpt();
    layout.disk_size = 12 * mib;
    layout.partitions = {gpt_partition(1, mib, 3 * mib), gpt_partition(2, 4 * mib, 4 * mib, "swap"),
                         gpt_partition(3, 8 * mib, 3 * mib, "vfat")};
    return layout;
}

std::vector<std::byte> small_disk() {
    auto bytes = mixed_bytes(12 * mib);
    auto const put = [&](std::size_t offset, std::string const& text) {
        std::ranges::transform(text, bytes.begin() + 8 * mib + static_cast<std::ptrdiff_t>(offset),
                               [](char c) { return static_cast<std::byte>(c); });
    };
    put(0x0b, std::string("\0\2", 2));       // bytes of a sector
    put(0x16, "\1");                         // not FAT32: no backup
    put(0x1c, std::string("\0\x40\0\0", 4)); // 8 MiB in sectors
    put(510, "\x55\xaa");
    return bytes;
}

struct fixture {
    temp_dir folder;
    packed_sample sample =
        make_packed_sample(small_disk(), {{mib, 3 * mib}, {8 * mib, 2 * mib}}, 1 << 20, "disk.sbi", small_layout());
    packed_image image = sample.image();
    fs::path packed = folder / "disk.sbi";
    fs::path target = folder / "target";
    strings steps;
    strings warnings;

    /// \param size of the target, which holds an MBR with a partition.
    explicit fixture(std::int64_t size = 12 * mib) {
        std::ofstream(packed, std::ios::binary)
            .write(reinterpret_cast<char const*>(sample.file.data()), static_cast<std::streamsize>(sample.file.size()));
        std::vector<char> bytes(static_cast<std::size_t>(size), '\xee');
        std::fill_n(bytes.begin(), 512, '\0');
        bytes[446 + 4] = '\x83';
        bytes[446 + 8] = bytes[446 + 12] = '\1';
        bytes[510] = '\x55';
        bytes[511] = '\xaa';
        std::ofstream(target, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }

    [[nodiscard]] packed_plan plan(std::string const& path, packed_plan_options const& options = {}) const {
        auto made = packed_plan::make(image, path, options);
        INFO((made ? "" : made.error().message));
        REQUIRE(made);
        return *std::move(made);
    }
    [[nodiscard]] packed_plan_events events() {
        return {[this](std::string const& line) { steps.push_back(line); },
                [this](std::string const& line) { warnings.push_back(line); }};
    }
    void write_chunks(block_device& device, packed_plan const& plan) {
        auto const file = open_packed_file(packed.string(), image);
        REQUIRE(file);
        restore_options how;
        how.placement = plan.placement();
        auto const written = write_packed(image, *file, device, how);
        REQUIRE(written);
        REQUIRE(*written);
    }
};

bool has_table(std::string const& path) {
    return read_disk_layout(path).has_value();
}

std::vector<std::byte> bytes_of(std::string const& path, std::int64_t offset, std::size_t count) {
    std::vector<std::byte> bytes(count);
    std::ifstream in(path, std::ios::binary);
    in.seekg(offset);
    REQUIRE(in.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(count)));
    return bytes;
}

packed_plan_failure failure_of(result<packed_plan, packed_plan_failure> const& made) {
    REQUIRE_FALSE(made);
    return made.error();
}

} // namespace

TEST_CASE("a disk has no table from its wiping to the end") {
    SEEDBED_REQUIRE_LOOP_DEVICES(); // for the swap area
    fixture made;
    auto const path = made.target.string();
    REQUIRE(has_table(path));
    auto const plan = made.plan(path);
    REQUIRE(plan.layout() != nullptr);
    auto const device = open_to_write(path);
    REQUIRE(plan.wipe(*device, false, made.events()));
    CHECK(made.steps == strings{"erasing the signature of earlier content: dos at byte 510"});
    CHECK_FALSE(has_table(path));
    made.write_chunks(*device, plan);
    CHECK_FALSE(has_table(path));
    made.steps.clear();
    auto const finished = plan.finish(*device, made.events());
    INFO((finished ? "" : finished.error().message));
    REQUIRE(finished);
    CHECK(made.steps == strings{"make the swap area in partition 2 (swap)"});
    CHECK(made.warnings.empty());
    auto const found = read_disk_layout(path);
    REQUIRE(found);
    CHECK(found->id == small_layout().id);
    CHECK(found->partitions.size() == 3);
    CHECK(found->partitions[1].content.type == "swap");
    CHECK(bytes_of(path, 8 * mib, 2 * mib) ==
          std::vector(made.sample.source.begin() + 8 * mib, made.sample.source.begin() + 10 * mib));
}

TEST_CASE("chunks and boot sectors move with a partition after a grown one, also a second time") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    fixture made(20 * mib);
    auto const path = made.target.string();
    auto const plan = made.plan(path, {growth{growth::choice::numbered, 2}});
    for (int i = 0; i < 2; ++i) {
        auto const device = open_to_write(path);
        REQUIRE(plan.wipe(*device, false, made.events()));
        made.write_chunks(*device, plan);
        REQUIRE(plan.finish(*device, made.events()));
    }
    auto const found = read_disk_layout(path);
    REQUIRE(found);
    auto const& moved = found->partitions[2];
    CHECK(moved.start == plan.layout()->partitions[2].start);
    CHECK(moved.start > 8 * mib);
    auto const bytes = bytes_of(path, moved.start, mib);
    auto expected = std::vector(made.sample.source.begin() + 8 * mib, made.sample.source.begin() + 9 * mib);
    auto const sectors = static_cast<std::uint32_t>(moved.start / 512);
    for (std::size_t i = 0; i < 4; ++i) {
        expected[0x1c + i] = static_cast<std::byte>(sectors >> (8 * i));
    }
    CHECK(bytes == expected);
}

TEST_CASE("a disk that cannot be completed is refused before the first write") {
    fixture made(6 * mib);
    auto const path = made.target.string();
    CHECK(failure_of(packed_plan::make(made.image, path, {})).what == cause::target);
    CHECK_THAT(failure_of(packed_plan::make(made.image, path, {})).message,
               Catch::StartsWith(path + ": the disk is too small for the image's partitions: "));
    fixture const large(20 * mib);
    CHECK(
        failure_of(packed_plan::make(large.image, large.target.string(), {growth{growth::choice::numbered, 3}})).what ==
        cause::target);
    CHECK(failure_of(packed_plan::make(large.image, (large.folder / "missing").string(), {})).what == cause::target);
    CHECK(has_table(path));
}

TEST_CASE("an image with bytes outside its partitions is refused") {
    auto const sample = make_packed_sample(small_disk(), {{11 * mib, mib / 2}}, 1 << 20, "disk.sbi", small_layout());
    fixture const made;
    auto const failure = failure_of(packed_plan::make(sample.image(), made.target.string(), {}));
    CHECK(failure.what == cause::image);
    CHECK_THAT(failure.message, Catch::EndsWith("lie in no partition of its layout"));
}

TEST_CASE("a disk of another size than planned is not written") {
    fixture made;
    auto const plan = made.plan(made.target.string());
    fs::resize_file(made.target, 13 * mib);
    auto const device = open_to_write(made.target.string());
    auto const wiped = plan.wipe(*device, true, made.events());
    REQUIRE_FALSE(wiped);
    CHECK(wiped.error().what == cause::target);
    CHECK(has_table(made.target.string()));
}

TEST_CASE("a device that cannot be searched for signatures gets no image of a disk, but one of a partition") {
    fixture made;
    fake_block_device unsearchable(12 * mib, (made.folder / "missing").string());
    auto const disk = made.plan(made.target.string()).wipe(unsearchable, true, made.events());
    REQUIRE_FALSE(disk);
    CHECK(disk.error().what == cause::device);
    CHECK(made.warnings.empty());

    made.image = make_packed_sample(mixed_bytes(4 * mib), {{0, mib}}).image();
    REQUIRE(made.plan(made.target.string()).wipe(unsearchable, true, made.events()));
    REQUIRE(made.warnings.size() == 1);
    CHECK_THAT(made.warnings.front(), Catch::StartsWith("cannot look for signatures of earlier content: "));
    CHECK(unsearchable.accesses().empty());
}

TEST_CASE("the image of a partition erases the signatures around it if asked, and never those that it overwrites") {
    auto const outside = GENERATE(false, true);
    fixture made;
    made.image = make_packed_sample(mixed_bytes(4 * mib), {{mib, mib}}).image();
    auto const plan = made.plan(made.target.string());
    CHECK(plan.layout() == nullptr);
    auto const device = open_to_write(made.target.string());
    REQUIRE(plan.wipe(*device, outside, made.events()));
    CHECK(has_table(made.target.string()) != outside);
    CHECK(made.steps.size() == (outside ? 1U : 0U));

    fixture over;
    over.image = make_packed_sample(mixed_bytes(4 * mib), {{0, 2 * mib}}).image();
    auto const device_over = open_to_write(over.target.string());
    REQUIRE(over.plan(over.target.string()).wipe(*device_over, outside, over.events()));
    CHECK(has_table(over.target.string()));
    CHECK(over.steps.empty());

    CHECK(failure_of(packed_plan::make(made.image, made.target.string(), {growth{growth::choice::last, 0}})).what ==
          cause::target);
}

TEST_CASE("what the image does not use is discarded if asked, and a device that cannot do that gets the image anyway") {
    fixture made;
    auto const path = made.target.string();
    auto const holds = [&](std::int64_t offset, std::byte wanted) {
        return bytes_of(path, offset, mib) == std::vector<std::byte>(mib, wanted);
    };
    auto const device = open_to_write(path);
    made.plan(path).discard(*device, made.events());
    CHECK(made.steps.empty());
    CHECK(holds(5 * mib, std::byte{0xee}));
    auto const plan = made.plan(path, {{}, false, true});
    plan.discard(*device, made.events());
    CHECK(made.steps == strings{"discarding the 5 MiB that the image does not use"});
    CHECK(made.warnings.empty());
    for (auto const offset : {4, 5, 6, 7, 10}) {
        CHECK(holds(offset * mib, std::byte{}));
    }
    for (auto const offset : {1, 3, 8, 9, 11}) {
        CHECK(holds(offset * mib, std::byte{0xee}));
    }

    fake_block_device unable(12 * mib);
    plan.discard(unable, made.events());
    REQUIRE(made.warnings.size() == 1);
    CHECK_THAT(made.warnings.front(), Catch::StartsWith("cannot discard what the image does not use, ignoring: "));
    CHECK(unable.accesses().empty());
}

TEST_CASE("new ids are those of the plan's layout, unless Windows needs the old ones") {
    fixture made;
    auto const path = made.target.string();
    auto const plan = made.plan(path, {{}, true});
    auto const old = small_layout();
    REQUIRE(plan.layout() != nullptr);
    CHECK(plan.layout()->id != old.id);
    CHECK(plan.layout()->id != made.plan(path, {{}, true}).layout()->id);
    for (std::size_t i = 0; i < old.partitions.size(); ++i) {
        CHECK(plan.layout()->partitions[i].uuid != old.partitions[i].uuid);
        CHECK(plan.layout()->partitions[i].start == old.partitions[i].start);
    }
    CHECK(plan.notes().size() == 1);
    CHECK(made.plan(path).layout()->id == old.id);

    auto windows = old;
    windows.partitions[0].type = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE";
    made.image =
        make_packed_sample(small_disk(), {{mib, 3 * mib}, {8 * mib, 2 * mib}}, 1 << 20, "disk.sbi", windows).image();
    auto const refused = failure_of(packed_plan::make(made.image, path, {{}, true}));
    CHECK(refused.what == cause::target);
    CHECK_THAT(refused.message, Catch::StartsWith("disk.sbi: new ids refused: partition 1 "));
    made.image = make_packed_sample(mixed_bytes(4 * mib), {{0, mib}}).image();
    CHECK(failure_of(packed_plan::make(made.image, path, {{}, true})).what == cause::target);
}
