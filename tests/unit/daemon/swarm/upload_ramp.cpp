#include "daemon/swarm/upload_ramp.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("a ramp goes from few peers to all, and starts over when all have left") {
    network_settings network;
    upload_ramp ramp;
    CHECK(ramp.slots(network) == 0); // no limit: slow_start is off
    network.slow_start = true;
    CHECK(ramp.slots(network) == 4);
    CHECK_FALSE(ramp.step()); // no peer is connected
    CHECK(ramp.slots(network) == 4);

    CHECK(ramp.begin());
    CHECK_FALSE(ramp.begin());
    for (int const slots : {8, 16, 32, 64, 128}) {
        CHECK(ramp.step());
        CHECK(ramp.slots(network) == slots);
    }
    CHECK_FALSE(ramp.step());
    CHECK(ramp.slots(network) == 0);
    CHECK_FALSE(ramp.begin());

    CHECK(ramp.reset());
    CHECK_FALSE(ramp.reset());
    CHECK(ramp.slots(network) == 4);
    CHECK(ramp.begin());
    CHECK(ramp.reset());
    CHECK_FALSE(ramp.step());
}

TEST_CASE("a ramp never allows more than the configuration") {
    network_settings network;
    network.slow_start = true;
    network.upload_slots = 10;
    upload_ramp ramp;
    CHECK(ramp.begin());
    CHECK(ramp.slots(network) == 4);
    CHECK(ramp.step());
    CHECK(ramp.slots(network) == 8);
    while (ramp.step()) {
        CHECK(ramp.slots(network) == 10);
    }
    CHECK(ramp.slots(network) == 10);
    network.upload_slots = 2;
    CHECK(ramp.reset());
    CHECK(ramp.slots(network) == 2);
}
