#include "core/foundation/counted.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("a noun is in the plural unless there is exactly one") {
    CHECK(counted(0, "extent") == "0 extents");
    CHECK(counted(1, "extent") == "1 extent");
    CHECK(counted(2, "sha1 line") == "2 sha1 lines");
    CHECK(counted(-1, "byte") == "-1 bytes");
    CHECK(counted(1LL << 40, "byte") == "1099511627776 bytes");
}
