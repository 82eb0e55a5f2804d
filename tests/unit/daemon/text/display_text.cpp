#include "daemon/text/display_text.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;
using lines = std::vector<std::string>;

TEST_CASE("a progress bar is full only at the end") {
    CHECK(progress_bar(0, 12) == "[..........]");
    CHECK(progress_bar(0.56, 12) == "[#####.....]");
    CHECK(progress_bar(0.9999, 12) == "[#########.]");
    CHECK(progress_bar(1, 12) == "[##########]");
    CHECK(progress_bar(1, 0) == "[#]");
}

TEST_CASE("a shortened text keeps its beginning and its end") {
    CHECK(shorten("/dev/sda1", 9) == "/dev/sda1");
    CHECK(shorten("/dev/disk/by-id/x-part1", 12) == "/dev/..part1");
    CHECK(shorten("abcdef", 5) == "ab..f");
    CHECK(shorten("abcdef", 2) == "ab");
    CHECK(shorten("abcdef", 0).empty());
}

TEST_CASE("lines are wrapped between words") {
    CHECK(wrap("one two three", 0) == lines{"one two three"});
    CHECK(wrap("one two three", 13) == lines{"one two three"});
    CHECK(wrap("one two three four", 9) == lines{"one two", "  three", "  four"});
    CHECK(wrap("/a/long/path is", 6) == lines{"/a/lon", "  g/pa", "  th", "  is"});
    CHECK(wrap("abc", 1).size() == 3); // narrower than the indent
}
