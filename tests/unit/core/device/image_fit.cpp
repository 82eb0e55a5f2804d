#include "core/device/image_fit.hpp"

#include <cstdint>
#include <optional>
#include <string>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

constexpr target_traits partition{.is_partition = true, .has_partitions = false};
constexpr target_traits partitioned{.is_partition = false, .has_partitions = true};
constexpr target_traits empty{};

bool fits(image_kind kind, target_traits const& target) {
    return !why_other_kind({.kind = kind}, target);
}

std::optional<std::string> sectors(image_kind kind, std::int64_t image, std::int64_t target) {
    return why_other_sectors({.kind = kind, .content = "x", .sector_size = image}, {.sector_size = target});
}

} // namespace

TEST_CASE("a partition's image does not go over a disk with partitions, nor a disk's into a partition") {
    CHECK_FALSE(fits(image_kind::partition, partitioned));
    CHECK(fits(image_kind::partition, partition));
    CHECK(fits(image_kind::partition, empty));
    // What looks like a table can be the boot code of a partition.
    CHECK(fits(image_kind::partition, {.is_partition = true, .has_partitions = true}));
    CHECK_FALSE(fits(image_kind::disk, partition));
    CHECK(fits(image_kind::disk, partitioned));
    CHECK(fits(image_kind::disk, empty));
    for (auto const& target : {partition, empty}) {
        CHECK(fits(image_kind::unknown, target));
    }
}

TEST_CASE("an image that may be of a partition does not go over a disk with partitions") {
    CHECK(why_other_kind({}, partitioned) ==
          "a disk with partitions, but the .torrent does not say that the image is of "
          "a whole disk; deploy to a partition");
    CHECK_FALSE(why_other_kind({}, {.is_partition = true, .has_partitions = true}));
    CHECK_FALSE(why_other_kind({.content = "iso9660"}, partitioned)); // hybrid: starts from a disk, too
}

TEST_CASE("a partition table counts in the sectors of its disk") {
    CHECK(sectors(image_kind::disk, 512, 4096) == "the image's partition table (x) counts in sectors of 512 bytes, the "
                                                  "device has 4096; deploy to a device with sectors of the same size");
    CHECK(sectors(image_kind::disk, 4096, 512));
    CHECK_FALSE(sectors(image_kind::disk, 4096, 4096));
}

TEST_CASE("a file system's sectors are no smaller than its disk's") {
    CHECK(sectors(image_kind::partition, 512, 4096));
    CHECK_FALSE(sectors(image_kind::partition, 4096, 512));
    CHECK_FALSE(sectors(image_kind::partition, 512, 512));
}

TEST_CASE("what is unknown about sectors refuses nothing") {
    CHECK_FALSE(sectors(image_kind::unknown, 512, 4096));
    CHECK_FALSE(sectors(image_kind::disk, 0, 4096));
    CHECK_FALSE(sectors(image_kind::disk, 512, 0)); // a regular file
}
