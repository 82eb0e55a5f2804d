#include "daemon/text/quantity_text.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>

#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();
constexpr auto largest = std::numeric_limits<std::int64_t>::max();

} // namespace

TEST_CASE("a rate has the format of a size") {
    CHECK(format_rate(0) == "0 B/s");
    CHECK(format_rate(1) == "1 B/s");
    CHECK(format_rate(999) == "999 B/s");
    CHECK(format_rate(1000) == "1000 B/s");
    CHECK(format_rate(10'276'045) == "9.8 MiB/s");
    CHECK(format_rate(512 << 20) == "512 MiB/s");
    CHECK(format_rate((1 << 20) - 1) == "1.0 MiB/s");
    CHECK(format_rate(-1) == "0 B/s");
    CHECK(format_rate(largest) == "4194304 TiB/s");
}

TEST_CASE("a rate is the bytes moved divided by the time") {
    CHECK(format_rate(4 << 20, 2) == "2 MiB/s");
    CHECK(format_rate(5, 10) == "1 B/s");
    CHECK(format_rate(4, 10) == "0 B/s");
    CHECK(format_rate(1 << 10, 0) == "1000 KiB/s");
    CHECK(format_rate(1 << 10, -3) == "1000 KiB/s");
    CHECK(format_rate(largest, 0) == "4194304 TiB/s");
}

TEST_CASE("a duration below ten seconds has tenths unless it is whole") {
    CHECK(format_duration(0.0) == "0s");
    CHECK(format_duration(0.04) == "0s");
    CHECK(format_duration(0.05) == "0.1s");
    CHECK(format_duration(0.34) == "0.3s");
    CHECK(format_duration(1.0) == "1s");
    CHECK(format_duration(4.02) == "4s");
    CHECK(format_duration(9.94) == "9.9s");
    CHECK(format_duration(9.96) == "10s");
    CHECK(format_duration(10.4) == "10s");
}

TEST_CASE("a longer duration has its two largest units") {
    CHECK(format_duration(59.4) == "59s");
    CHECK(format_duration(59.6) == "1m00s");
    CHECK(format_duration(190s) == "3m10s");
    CHECK(format_duration(3599.4) == "59m59s");
    CHECK(format_duration(3599.6) == "1h00m");
    CHECK(format_duration(7500s) == "2h05m");
    CHECK(format_duration(24h - 1s) == "23h59m");
    CHECK(format_duration(24h) == "1d00h");
    CHECK(format_duration(86'400 * 99.9) == "99d21h");
    CHECK(format_duration(1500ms) == "1.5s");
}

TEST_CASE("a negative, undefined or infinite duration has a text") {
    CHECK(format_duration(-3.0) == "0s");
    CHECK(format_duration(not_a_number) == "0s");
    CHECK(format_duration(infinity) == "11574074d01h");
}

TEST_CASE("a percentage is rounded down, and is 100% only at the end") {
    CHECK(format_percent(0.0) == "0%");
    CHECK(format_percent(0.0099) == "0%");
    CHECK(format_percent(0.01) == "1%");
    CHECK(format_percent(0.29) == "29%"); // 0.29 * 100 is 28.999...
    CHECK(format_percent(0.9999) == "99%");
    CHECK(format_percent(0.999'999'999'999) == "99%");
    CHECK(format_percent(1.0) == "100%");
    CHECK(format_percent(7.0) == "100%");
    CHECK(format_percent(-0.5) == "0%");
    CHECK(format_percent(not_a_number) == "0%");
}

TEST_CASE("a percentage can have decimals") {
    CHECK(format_percent(0.0, 1) == "0.0%");
    CHECK(format_percent(0.9869, 1) == "98.6%");
    CHECK(format_percent(0.000'25, 2) == "0.02%");
    CHECK(format_percent(0.999'999'999'999, 2) == "99.99%");
    CHECK(format_percent(1.0, 1) == "100.0%");
}
