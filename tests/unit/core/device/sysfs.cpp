#include "core/device/sysfs.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("a file that opens but cannot be read has no content") {
    // The kernel answers EIO at offset 0, as it answers ENXIO for the wwid of a disk without one.
    CHECK(read_file("/proc/self/mem") == std::nullopt);
    CHECK(read_text("/proc/self/mem").empty());
    CHECK(read_number("/proc/self/mem") == 0);
    CHECK(read_file("/proc/self/no such file") == std::nullopt);
    CHECK(read_file("/proc/version").value_or("").starts_with("Linux"));
}
