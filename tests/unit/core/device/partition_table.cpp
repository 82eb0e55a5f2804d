#include "core/device/partition_table.hpp"

#include <cstdint>
#include <fstream>
#include <string>

#include <catch2/catch.hpp>
#include <fcntl.h>

#include "core/foundation/unique_fd.hpp"
#include "support/loop_device.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

constexpr std::int64_t mib = 1024 * 1024;

unique_fd open_exclusively(std::string const& path) {
    unique_fd fd(::open(path.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
    REQUIRE(fd);
    return fd;
}

} // namespace

TEST_CASE("the kernel rereads the partition table of a disk, unless a partition is in use") {
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device loop({.size = 32 * mib, .partitions = true});
    auto const partition = loop.add_partition(1, mib, 8 * mib);
    {
        unique_fd const user(::open(partition.c_str(), O_RDONLY | O_CLOEXEC));
        REQUIRE(user);
        auto const disk = open_exclusively(loop.path());
        CHECK(reread_partition_table(disk.get()) == "BLKRRPART: Device or resource busy (EBUSY)");
        CHECK_FALSE(reread_partition_table(user.get())); // a partition has no table that the kernel reads
    }
    CHECK_FALSE(reread_partition_table(open_exclusively(loop.path()).get()));
    CHECK(::open(partition.c_str(), O_RDONLY | O_CLOEXEC) == -1); // an empty table has none
}

TEST_CASE("a device without partitions has no table to reread") {
    temp_dir const folder;
    std::ofstream(folder / "file") << "bytes";
    unique_fd const file(::open((folder / "file").c_str(), O_RDONLY | O_CLOEXEC));
    CHECK_FALSE(reread_partition_table(file.get()));
    CHECK(reread_partition_table(-1));
    SEEDBED_REQUIRE_LOOP_DEVICES();
    loop_device const loop;
    CHECK_FALSE(reread_partition_table(open_exclusively(loop.path()).get()));
}
