#include "core/layout/boot_sectors.hpp"

#include <cstddef>
#include <cstring>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "support/fake_block_device.hpp"
#include "support/sample_layouts.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

constexpr std::size_t sector = 512;

std::vector<std::byte> boot_sector(std::string const& type, std::uint32_t hidden, std::uint64_t total) {
    std::vector<std::byte> bytes(sector);
    auto const put = [&](std::size_t offset, std::uint64_t value, std::size_t size) {
        std::memcpy(bytes.data() + offset, &value, size); // the test runs on little-endian machines
    };
    put(0x0b, sector, 2);
    put(0x1c, hidden, 4);
    if (type == "ntfs") {
        std::memcpy(bytes.data() + 3, "NTFS    ", 8);
        put(0x28, total, 8);
    } else {
        put(0x32, 6, 2);
    }
    put(510, 0xaa55, 2);
    return bytes;
}

std::uint32_t hidden_at(fake_block_device& device, std::int64_t offset) {
    std::vector<std::byte> bytes(sector);
    REQUIRE(device.read_medium(offset, bytes));
    std::uint32_t value = 0;
    std::memcpy(&value, bytes.data() + 0x1c, 4);
    return value;
}

deployment_plan moved_plan(std::string const& type) {
    auto image = sample_gpt();
    image.disk_size = 16 * mib;
    image.partitions = {gpt_partition(1, mib, 2 * mib, "ext4"), gpt_partition(2, 3 * mib, 2 * mib, type)};
    auto const made = plan_deployment(image, 32 * mib, 512, {growth::choice::numbered, 1});
    REQUIRE(made);
    return *made;
}

constexpr std::uint32_t old_start = 3 * 2048;

} // namespace

TEST_CASE("boot sectors that have moved state their new position") {
    for (auto const* const type : {"ntfs", "vfat"}) {
        CAPTURE(type);
        auto const plan = moved_plan(type);
        auto const start = plan.target.partitions[1].start;
        auto const backup = std::string(type) == "ntfs" ? std::int64_t{4095} : 6;
        fake_block_device device(32 * mib);
        REQUIRE(device.write(start, boot_sector(type, old_start, 4095)));
        REQUIRE(device.write(start + backup * 512, boot_sector(type, old_start, 4095)));
        CHECK(corrected_fields(device, plan) == std::vector<corrected_field>{});
        CHECK(correct_boot_sectors(device, plan) == 2);
        CHECK(hidden_at(device, start) == start / 512);
        CHECK(hidden_at(device, start + backup * 512) == start / 512);
        CHECK(correct_boot_sectors(device, plan) == 0); // once more changes nothing
        auto const old = [&](std::int64_t offset) {
            return corrected_field{offset + 0x1c, {std::byte{0x00}, std::byte{0x18}, std::byte{0}, std::byte{0}}};
        };
        CHECK(corrected_fields(device, plan) == std::vector{old(start), old(start + backup * 512)});
    }
}

TEST_CASE("boot sectors that state another position stay as they are") {
    auto const plan = moved_plan("ntfs");
    auto const start = plan.target.partitions[1].start;
    fake_block_device device(32 * mib);
    REQUIRE(device.write(start, boot_sector("ntfs", 63, 4095)));
    CHECK(correct_boot_sectors(device, plan) == 0);
    auto other = boot_sector("ntfs", old_start, 4095);
    other[3] = std::byte{'X'};
    REQUIRE(device.write(start, other));
    CHECK(correct_boot_sectors(device, plan) == 0);
    CHECK(correct_boot_sectors(device, moved_plan("ext4")) == 0);
}
