#include "core/cache/drain_meter.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t mib = 1 << 20;

} // namespace

TEST_CASE("until the speed of a disk is known, as many bytes may wait as a slow disk writes in a few seconds") {
    drain_meter meter;
    CHECK(meter.limit() == 32 * mib);
    meter.begin({});
    meter.drained(drain_meter::clock::time_point(200ms), 100 * mib);
    CHECK(meter.limit() == 32 * mib);
}

TEST_CASE("as many bytes may wait as the disk writes in two seconds") {
    drain_meter meter;
    meter.begin({});
    meter.drained(drain_meter::clock::time_point(250ms), 100 * mib);
    CHECK(meter.rate() == Approx(400.0 * mib));
    CHECK(meter.limit() == 800 * mib);
}

TEST_CASE("the minimum may wait even on a slow disk") {
    drain_meter meter;
    meter.begin({});
    meter.drained(drain_meter::clock::time_point(1s), 5 * mib);
    CHECK(meter.limit() == 32 * mib);
}

TEST_CASE("time in which nothing waits does not count") {
    drain_meter meter;
    meter.begin(drain_meter::clock::time_point(0ms));
    meter.drained(drain_meter::clock::time_point(125ms), 50 * mib);
    meter.begin(drain_meter::clock::time_point(10s));
    meter.drained(drain_meter::clock::time_point(10s + 125ms), 50 * mib);
    CHECK(meter.rate() == Approx(400.0 * mib));
}

TEST_CASE("fewer bytes may wait when a disk becomes slower") {
    drain_meter meter;
    meter.begin({});
    drain_meter::clock::time_point now;
    now += 250ms;
    meter.drained(now, 100 * mib);
    for (int i = 0; i < 12; ++i) {
        now += 250ms;
        meter.drained(now, 10 * mib);
    }
    CHECK(meter.rate() == Approx(40.0 * mib).epsilon(0.01));
}
