#include "core/foundation/format_count.hpp"

#include <cstddef>

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("a noun is in the plural unless there is exactly one") {
    CHECK(format_count(0, "extent") == "0 extents");
    CHECK(format_count(1, "extent") == "1 extent");
    CHECK(format_count(2, "sha1 line") == "2 sha1 lines");
    CHECK(format_count(-1, "byte") == "-1 bytes");
    CHECK(format_count(std::size_t{1000}, "host") == "1000 hosts");
    CHECK(format_count(1LL << 40, "byte") == "1099511627776 bytes");
}
