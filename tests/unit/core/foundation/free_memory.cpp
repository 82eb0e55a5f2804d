#include "core/foundation/free_memory.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("the free memory is what the kernel reports") {
    CHECK(parse_free_memory("MemTotal:  100 kB\nMemFree: 5 kB\nMemAvailable:   12345 kB\nBuffers: 1 kB\n") ==
          12345 * 1024);
    CHECK(parse_free_memory("MemAvailable: 1 kB") == 1024);
    CHECK(free_memory().value_or(0) > 0);
}

TEST_CASE("the free memory is unknown if the text lacks it or has an impossible number") {
    for (auto const* const text :
         {"", "MemTotal: 100 kB\n", "MemAvailable:", "MemAvailable: kB\n", "MemAvailable: -1 kB\n",
          "MemAvailable: 12345\n", "MemAvailable: 99999999999999999999 kB\n", "MemAvailable: 9999999999999999 kB\n",
          "MemAvailable: 1 MB\n"}) {
        CHECK(parse_free_memory(text) == std::nullopt);
    }
}

TEST_CASE("the total memory is what the kernel reports") {
    CHECK(parse_total_memory("MemTotal:  100 kB\nMemFree: 5 kB\nMemAvailable:   12345 kB\n") == 100 * 1024);
    CHECK(parse_total_memory("MemFree: 5 kB\nMemAvailable:   12345 kB\n") == std::nullopt);
    CHECK(total_memory().value_or(0) >= free_memory().value_or(1));
}
