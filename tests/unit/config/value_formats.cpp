#include "config/value_formats.hpp"

#include <cstdint>
#include <limits>
#include <string>

#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

TEST_CASE("value formats: a duration is a whole number with a unit") {
    CHECK(parse_duration("0 ms") == 0ms);
    CHECK(parse_duration("500 ms") == 500ms);
    CHECK(parse_duration("250ms") == 250ms);
    CHECK(parse_duration("90s") == 90s);
    CHECK(parse_duration("1 min") == 60s);
    CHECK(parse_duration("3min") == 180s);
    CHECK(parse_duration("2h") == 7200s);
    CHECK(parse_duration("8784 h") == 8784h);
    for (std::string const text : {"", "h", "min", "1", "1.5h", "-1s", "1d", "1  s", "1 s ", "1 S", "1h 30min"}) {
        CAPTURE(text);
        REQUIRE_FALSE(parse_duration(text));
        CHECK(parse_duration(text).error().message ==
              "'" + text + "' is not a duration: expected a whole number with ms, s, min or h, such as \"90 s\"");
    }
    for (std::string const text : {"8785 h", "99999999999h", "99999999999999999999 ms"}) {
        CAPTURE(text);
        REQUIRE_FALSE(parse_duration(text));
        CHECK(parse_duration(text).error().message == "'" + text + "' is longer than a year");
    }
}

TEST_CASE("value formats: a share is a whole number of percent") {
    CHECK(parse_share("25 %") == 25);
    CHECK(parse_share("1%") == 1);
    CHECK(parse_share("90 %") == 90);
    for (std::string const text : {"%", " %", "25", "2.5 %", "25  %", "25 % ", "25 percent", "x %"}) {
        CAPTURE(text);
        REQUIRE_FALSE(parse_share(text));
        CHECK(parse_share(text).error().message ==
              "'" + text + "' is not a share: expected a whole number with %, such as \"25 %\"");
    }
    for (std::string const text : {"0 %", "91 %", "-5 %", "99999999999 %"}) {
        CAPTURE(text);
        REQUIRE_FALSE(parse_share(text));
        CHECK(parse_share(text).error().message == "'" + text + "' is out of range: 1 % to 90 %");
    }
}

TEST_CASE("value formats: a share of the memory is whole MiB, and does not overflow") {
    constexpr std::int64_t mib = 1LL << 20;
    CHECK(share_of(4096 * mib, 25) == 1024 * mib);
    CHECK(share_of(4096 * mib + 12'345, 1) == 40 * mib);
    CHECK(share_of(std::numeric_limits<std::int64_t>::max(), 90) / mib == (std::int64_t{1} << 43) / 10 * 9 + 6);
}

TEST_CASE("value formats: a duration is written in the largest unit that fits") {
    CHECK(format_duration(0ms) == "0 ms");
    CHECK(format_duration(999ms) == "999 ms");
    CHECK(format_duration(1s) == "1 s");
    CHECK(format_duration(90s) == "90 s");
    CHECK(format_duration(120s) == "2 min");
    CHECK(format_duration(24h) == "24 h");
    CHECK(format_duration(-1ms) == "-1 ms");
}
