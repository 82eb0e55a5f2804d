#include "daemon/text/utc_time.hpp"

#include <string>

#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;
using std::chrono::system_clock;

TEST_CASE("a UTC time is written as in RFC 3339") {
    CHECK(format_utc(system_clock::time_point{}) == "1970-01-01T00:00:00Z");
    CHECK(format_utc(system_clock::time_point{} + 951'782'399s) == "2000-02-28T23:59:59Z");
    CHECK(format_utc(system_clock::time_point{} + 951'868'799s + 900ms) == "2000-02-29T23:59:59Z");
}

TEST_CASE("a UTC time reads back as the same second") {
    auto const time = system_clock::time_point{} + 1'769'860'800s;
    CHECK(parse_utc("2026-01-31T12:00:00Z") == time);
    CHECK(parse_utc(format_utc(time)) == time);
}

TEST_CASE("no other text is read as a UTC time") {
    for (auto const* const text : {"", "2026-01-31", "2026-01-31T12:00:00", "2026-01-31T12:00:00Z ",
                                   "2026-13-31T12:00:00Z", "2026-01-31T12:00:00+01:00", "never"}) {
        INFO(text);
        CHECK_FALSE(parse_utc(text));
    }
    CHECK_FALSE(parse_utc(std::string("2026-01-31T12:00:00Z\0Z", 22)));
}
