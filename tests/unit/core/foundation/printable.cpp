#include "core/foundation/printable.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("each byte that is not printable ASCII becomes a question mark") {
    CHECK(printable("").empty());
    CHECK(printable(" A~") == " A~");
    CHECK(printable("a\x1b[2Jb\xc3\xa4\n\x7f") == "a?[2Jb????");
}
