#include "daemon/swarm/rate_meter.hpp"

#include <catch2/catch.hpp>

using seedbed::rate_meter;
using namespace std::chrono_literals;

TEST_CASE("a rate is an average of the last readings, not of the whole transfer") {
    rate_meter meter;
    rate_meter::clock::time_point const began{};
    CHECK(meter.add(began, 7000) == 0);
    CHECK(meter.add(began + 1s, 8000) == 1000);
    CHECK(meter.add(began + 2s, 18'000) == 10'000);
    CHECK(meter.add(began + 2500ms, 18'000) == 6666);
    CHECK(meter.add(began + 3s, 28'000) == 10'000);
}

TEST_CASE("a rate is 0 two seconds after the last byte, however fast it was") {
    rate_meter meter;
    rate_meter::clock::time_point const began{};
    CHECK(meter.add(began, 0) == 0);
    CHECK(meter.add(began + 1s, 4'000'000'000) == 4'000'000'000);
    CHECK(meter.add(began + 1500ms, 4'000'000'000) > 0);
    CHECK(meter.add(began + 3010ms, 4'000'000'000) == 0);
}

TEST_CASE("each of several rare readings is compared with the one before") {
    rate_meter meter;
    rate_meter::clock::time_point const began{};
    CHECK(meter.add(began, 0) == 0);
    CHECK(meter.add(began + 4s, 4000) == 1000);
    CHECK(meter.add(began + 8s, 4000) == 0);
}

TEST_CASE("a rate starts again after a gap and when the counter decreases") {
    rate_meter meter;
    rate_meter::clock::time_point const began{};
    CHECK(meter.add(began, 0) == 0);
    SECTION("a gap") {
        CHECK(meter.add(began + 60s, 6'000'000) == 0);
        CHECK(meter.add(began + 61s, 6'000'500) == 500);
    }
    SECTION("a torrent that was added again counts from 0") {
        CHECK(meter.add(began + 1s, 1000) == 1000);
        CHECK(meter.add(began + 2s, 10) == 0);
        CHECK(meter.add(began + 3s, 510) == 500);
    }
    SECTION("two readings at the same moment") {
        CHECK(meter.add(began, 500) == 0);
    }
}
