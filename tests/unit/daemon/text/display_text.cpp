#include "daemon/text/display_text.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;
using lines = std::vector<std::string>;

TEST_CASE("display text: sizes and rates have three digits at most") {
    CHECK(short_size(-1) == "0 B");
    CHECK(short_size(0) == "0 B");
    CHECK(short_size(999) == "999 B");
    CHECK(short_size(1000) == "1.0 KiB");
    CHECK(short_size(10 << 10) == "10 KiB");
    CHECK(short_size(1023 << 10) == "1.0 MiB");
    CHECK(short_size(424'600'000) == "405 MiB");
    CHECK(short_size(7LL << 60) == "7.0 EiB");
    CHECK(short_rate(0) == "-");
    CHECK(short_rate(512 << 20) == "512 MiB/s");
    for (std::int64_t bytes = 1; bytes < (1LL << 60); bytes += bytes / 3 + 1) {
        INFO(bytes);
        CHECK(short_size(bytes).size() <= 7);
        CHECK(short_rate(bytes).size() <= 9);
    }
}

TEST_CASE("display text: durations") {
    CHECK(short_duration(-3) == "0s");
    CHECK(short_duration(59.4) == "59s");
    CHECK(short_duration(59.6) == "1m00s");
    CHECK(short_duration(3599) == "59m59s");
    CHECK(short_duration(7500) == "2h05m");
    CHECK(short_duration(86'400 * 99.9) == "99d21h");
    CHECK(short_duration(1e300).ends_with("h"));
}

TEST_CASE("display text: nothing is done before it is") {
    CHECK(short_percent(0) == "0 %");
    CHECK(short_percent(0.9999) == "99 %");
    CHECK(short_percent(1) == "100 %");
    CHECK(short_percent(7) == "100 %");
    CHECK(progress_bar(0, 12) == "[..........]");
    CHECK(progress_bar(0.56, 12) == "[#####.....]");
    CHECK(progress_bar(0.9999, 12) == "[#########.]");
    CHECK(progress_bar(1, 12) == "[##########]");
    CHECK(progress_bar(1, 0) == "[#]");
}

TEST_CASE("display text: what is shortened keeps its ends") {
    CHECK(shorten("/dev/sda1", 9) == "/dev/sda1");
    CHECK(shorten("/dev/disk/by-id/x-part1", 12) == "/dev/..part1");
    CHECK(shorten("abcdef", 5) == "ab..f");
    CHECK(shorten("abcdef", 2) == "ab");
    CHECK(shorten("abcdef", 0).empty());
}

TEST_CASE("display text: wrapping breaks between words") {
    CHECK(wrap("one two three", 0) == lines{"one two three"});
    CHECK(wrap("one two three", 13) == lines{"one two three"});
    CHECK(wrap("one two three four", 9) == lines{"one two", "  three", "  four"});
    CHECK(wrap("/a/long/path is", 6) == lines{"/a/lon", "  g/pa", "  th", "  is"});
    CHECK(wrap("abc", 1).size() == 3); // narrower than the indent: ends nevertheless
}
