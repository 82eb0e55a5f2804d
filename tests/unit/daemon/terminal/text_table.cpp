#include "daemon/terminal/text_table.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;
using lines = std::vector<std::string>;

namespace {

text_table table() {
    text_table made({{.title = "NAME", .least = 4},
                     {.title = "N", .right = true},
                     {.title = "WHERE", .rank = 1, .least = 6},
                     {.title = "WHAT", .rank = 2},
                     {.title = "EXTRA", .rank = 3, .extra = true}});
    made.add_row({"alpha-beta", "1", "/dev/long/path", "thing", "much more"});
    made.add_row({"b", "100", "/dev/x", "-", "-"});
    return made;
}

} // namespace

TEST_CASE("text table: no limit") {
    lines const full{"NAME          N  WHERE           WHAT   EXTRA", //
                     "alpha-beta    1  /dev/long/path  thing  much more", "b           100  /dev/x          -      -"};
    CHECK(table().lines(0) == full);
    CHECK(table().lines(49) == full);
}

TEST_CASE("text table: narrows spaces, drops extras, shortens cells, drops columns") {
    CHECK(table().lines(48)[1] == "alpha-beta   1 /dev/long/path thing much more");
    CHECK(table().lines(44)[1] == "alpha-beta    1  /dev/long/path  thing");
    CHECK(table().lines(35)[1] == "alpha-beta   1 /dev/long/path thing");
    CHECK(table().lines(34)[1] == "alpha-beta   1 /dev/l../path thing");
    CHECK(table().lines(22)[1] == "al..a   1 /d..th thing");
    CHECK(table().lines(21)[1] == "a..a   1 /d..th thing");
    CHECK(table().lines(20)[1] == "alp..ta   1 /de..ath");
    CHECK(table().lines(8)[1] == "a..a   1");
    CHECK(table().lines(5)[1] == "a..a");
    CHECK(table().lines(5)[2] == "b");
}

TEST_CASE("text table: no line exceeds the width") {
    for (std::size_t width = 1; width < 60; ++width) {
        for (auto const& line : table().lines(width)) {
            INFO(width << ": '" << line << "'");
            CHECK(line.size() <= width);
            CHECK((line.empty() || line.back() != ' '));
        }
    }
}
