#include "core/layout/table_reader.hpp"
#include "core/layout/table_writer.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

#include "core/foundation/find_program.hpp"
#include "core/foundation/unique_fd.hpp"
#include "support/fake_block_device.hpp"
#include "support/loop_device.hpp"
#include "support/paper_disk.hpp"
#include "support/power_cut_disk.hpp"
#include "support/sample_layouts.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace fs = std::filesystem;

namespace {

table_bytes table_of(disk_layout const& layout) {
    auto made = make_table(layout);
    INFO((made ? "" : made.error().message));
    REQUIRE(made);
    return *std::move(made);
}

void write_file(fs::path const& path, table_bytes const& table, std::int64_t size) {
    if (size > 0) { // otherwise a device
        std::ofstream(path, std::ios::binary | std::ios::app).close();
        fs::resize_file(path, static_cast<std::uintmax_t>(size));
    }
    std::fstream out(path, std::ios::binary | std::ios::in | std::ios::out);
    for (auto const& run : table.runs) {
        out.seekp(run.offset);
        out.write(reinterpret_cast<char const*>(run.bytes.data()), static_cast<std::streamsize>(run.bytes.size()));
    }
    REQUIRE(out.flush());
}

disk_layout read(fs::path const& path) {
    auto const found = read_disk_layout(path.string());
    INFO((found ? "" : found.error().message));
    REQUIRE(found);
    return *found;
}

/// What can be read back of partitions that hold nothing, whose MBR or GPT lies in the gap that a layout may have.
disk_layout empty_contents(disk_layout layout) {
    for (auto& partition : layout.partitions) {
        if (partition.role != partition_role::extended) {
            partition.content = {"", "", "", partition.size, partition.size, 0};
        }
    }
    return layout;
}

std::string refusal(fs::path const& path) {
    auto const found = read_disk_layout(path.string());
    return found ? "" : found.error().message;
}

} // namespace

TEST_CASE("a written table reads back as the layout, and other tools accept it") {
    temp_dir const folder;
    for (auto const& layout : {sample_gpt(), sample_mbr()}) {
        auto const path = folder / layout.id;
        write_file(path, table_of(layout), layout.disk_size);
        CHECK(read(path) == empty_contents(layout));
        CHECK(run_program("sfdisk", {"--verify", path.string()}) == 0);
        if (layout.table == table_type::gpt && !find_program("sgdisk").empty()) {
            CHECK(run_program("sgdisk", {"-v", path.string()}) == 0);
        }
    }
}

TEST_CASE("tables of random layouts read back, whatever their alignment") {
    temp_dir const folder;
    auto const path = folder / "disk";
    for (unsigned seed = 1; seed <= 60; ++seed) {
        INFO("seed " << seed);
        auto const layout = paper_disk(seed).make();
        auto const table = table_of(layout);
        fs::remove(path);
        write_file(path, table, layout.disk_size);
        unique_fd const fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
        auto const found = read_partition_table(fd.get(), "disk", layout.sector_size);
        INFO((found ? "" : found.error().message));
        REQUIRE(found);
        auto wanted = layout;
        wanted.boot_code.clear();
        for (auto& partition : wanted.partitions) {
            partition.content = {};
        }
        REQUIRE(*found == wanted);
        REQUIRE(table.runs.back().offset == 0);
        for (auto const& run : table.runs) { // no byte of a partition's content
            auto const end = run.offset + static_cast<std::int64_t>(run.bytes.size());
            for (auto const& partition : layout.partitions) {
                REQUIRE((partition.role == partition_role::extended || end <= partition.start ||
                         run.offset >= partition.end()));
            }
        }
    }
}

TEST_CASE("a table leaves the boot loader's gap alone") {
    for (auto const& layout : {sample_gpt(), sample_mbr()}) {
        for (auto const& run : table_of(layout).runs) {
            auto const end = run.offset + static_cast<std::int64_t>(run.bytes.size());
            CHECK((end <= layout.gap_start || run.offset >= layout.gap_start + layout.gap_size));
        }
    }
}

TEST_CASE("a name that libfdisk cannot write is refused before anything is written") {
    auto layout = sample_gpt();
    layout.partitions[0].name = "\xc3\xa4 \"\\"; // this one it can
    CHECK(make_table(layout));
    layout.partitions[0].name = "\xf0\x9f\x98\x80";
    REQUIRE(check_layout(layout));
    auto const made = make_table(layout);
    REQUIRE_FALSE(made);
    CHECK(made.error().message ==
          "cannot make the partition table: libfdisk does not write partition 1 as the image has it");
}

TEST_CASE("the first sector is written when the rest is durable") {
    auto layout = sample_gpt();
    layout.disk_size = 3 * mib;
    layout.partitions = {gpt_partition(1, mib, mib / 2), gpt_partition(2, 3 * mib / 2, mib)};
    layout.boot_code = std::string(boot_code_size, 'x');
    auto const table = table_of(layout);
    auto const complete = [&](std::vector<std::byte> const& disk) {
        return std::ranges::all_of(table.runs, [&](auto const& run) {
            return std::equal(run.bytes.begin(), run.bytes.end(), disk.begin() + run.offset);
        });
    };
    int tables = 0;
    for (int how = 0; how <= static_cast<int>(power_cut_disk::last_loss); ++how) {
        for (int steps = 1; steps < 40; ++steps) {
            power_cut_disk disk(std::vector<std::byte>(3 * mib, std::byte{0}), static_cast<std::uint32_t>(steps));
            disk.power_on(steps, static_cast<power_cut_disk::loss>(how), [] {});
            auto const written = write_table(*disk.open("/dev/sdx"), table);
            disk.end_now(power_cut_disk::loss::everything);
            auto const medium = disk.medium();
            bool const visible = medium[510] == std::byte{0x55};
            REQUIRE((!visible || complete(medium)));
            REQUIRE((!written || complete(medium)));
            tables += visible ? 1 : 0;
        }
    }
    CHECK(tables > 0);
}

TEST_CASE("a disk that returns another table than was written is reported") {
    auto const layout = [] {
        auto small = sample_gpt();
        small.disk_size = 8 * mib;
        small.partitions.clear();
        return small;
    }();
    auto const table = table_of(layout);
    fake_block_device device(layout.disk_size);
    REQUIRE(write_table(device, table));
    auto damaged = table;
    damaged.runs.push_back(damaged.runs.front()); // the last write wins, so the first run cannot be there
    damaged.runs.back().bytes[100] ^= std::byte{1};
    auto const written = write_table(device, damaged);
    REQUIRE_FALSE(written);
    CHECK(written.error().message == device.path() +
                                         ": the disk does not return the partition table that was written, at offset " +
                                         std::to_string(table.runs.front().offset));
}

TEST_CASE("disks that cannot be described are refused") {
    temp_dir const folder;
    auto const path = folder / "disk";
    CHECK(refusal(path) == path.string() + ": No such file or directory (ENOENT)");
    std::ofstream(path).close();
    fs::resize_file(path, 64 * mib);
    CHECK(refusal(path) == path.string() + ": no partition table");
    REQUIRE(run_program("sh", {"-c", "echo 'label: sun' | sfdisk " + path.string()}) == 0);
    CHECK(refusal(path) == path.string() + ": a partition table of type sun; only GPT and MBR are supported");
    REQUIRE(run_program("sh", {"-c", "echo 'label: gpt\n2048,20480,L' | sed 's/.n/\\n/' | sfdisk -w always " +
                                         path.string()}) == 0);
    CHECK(refusal(path) == "");
    if (!find_program("sgdisk").empty()) {
        REQUIRE(run_program("sgdisk", {"-h", "1", path.string()}) == 0);
        CHECK(refusal(path) == path.string() + ": a GPT with a hybrid MBR, which Seedbed cannot restore");
    }
}

TEST_CASE("contents are recognised in a disk's file, without partition devices") {
    temp_dir const folder;
    auto const path = folder / "disk";
    auto layout = sample_gpt();
    layout.disk_size = 64 * mib;
    layout.partitions = {gpt_partition(1, mib, 20 * mib), gpt_partition(2, 21 * mib, 20 * mib)};
    write_file(path, table_of(layout), layout.disk_size);
    auto const swap = folder / "swap";
    std::ofstream(swap).close();
    fs::resize_file(swap, 20 * mib);
    REQUIRE(run_program("mkswap", {"-L", "mine", "-U", "12345678-1234-1234-1234-123456789abc", swap.string()}) == 0);
    REQUIRE(run_program("dd", {"if=" + swap.string(), "of=" + path.string(), "bs=1M", "seek=1", "conv=notrunc"}) == 0);
    REQUIRE(run_program("mke2fs", {"-q", "-t", "ext4", "-L", "root", "-E", "offset=" + std::to_string(21 * mib),
                                   path.string(), "20M"}) == 0);
    auto const found = read(path);
    CHECK(found.partitions[0].content ==
          partition_content{"swap", "mine", "12345678-1234-1234-1234-123456789abc", 20 * mib, 20 * mib, 4096});
    CHECK(found.partitions[1].content.type == "ext4");
    CHECK(found.partitions[1].content.label == "root");
    CHECK(parse_disk_layout(to_bencode(found)) == found);
}

TEST_CASE("a disk with sectors of 4 KiB") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device::options wanted;
    wanted.size = 256 * mib;
    wanted.block_size = 4096;
    loop_device const disk(wanted);
    auto layout = sample_gpt();
    layout.sector_size = 4096;
    layout.disk_size = 256 * mib;
    layout.first_usable = 6 * 4096;
    layout.gap_start = 6 * 4096;
    layout.gap_size = mib - 6 * 4096;
    layout.partitions = {gpt_partition(1, mib, 100 * mib)};
    write_file(disk.path(), table_of(layout), 0);
    CHECK(read(disk.path()) == empty_contents(layout));
    CHECK(read(disk.backing_file()) == empty_contents(layout));
    CHECK(run_program("sfdisk", {"--verify", disk.path()}) == 0);
}
