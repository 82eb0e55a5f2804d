#include "daemon/swarm/read_once_policy.hpp"

#include <catch2/catch.hpp>

using seedbed::read_once_policy;

namespace {

constexpr std::int64_t mib = 1 << 20;

read_once_policy large_image() {
    return {.enabled = true,
            .super_seeding = false,
            .pool_bytes = 64 * mib,
            .image_bytes = 100 * mib,
            .piece_length = static_cast<std::int32_t>(mib)};
}

} // namespace

TEST_CASE("read_once: a seed withholds pieces of an image that is larger than seven eighths of the pool") {
    auto policy = large_image();
    CHECK(policy.withholds());
    policy.image_bytes = 56 * mib + 1;
    CHECK(policy.withholds());
    policy.image_bytes = 56 * mib;
    CHECK_FALSE(policy.withholds());
    CHECK(policy.first_offer() == 0);
}

TEST_CASE("read_once: nothing is withheld if the configuration or super-seeding rules it out") {
    auto disabled = large_image();
    disabled.enabled = false;
    CHECK_FALSE(disabled.withholds());
    CHECK(disabled.first_offer() == 0);
    auto super = large_image();
    super.super_seeding = true;
    CHECK_FALSE(super.withholds());
    CHECK(super.first_offer() == 0);
}

TEST_CASE("read_once: a waiting peer is first offered an eighth of the pool, and at least one piece") {
    auto policy = large_image();
    CHECK(policy.first_offer() == 8);
    policy.piece_length = static_cast<std::int32_t>(3 * mib);
    CHECK(policy.first_offer() == 2);
    policy.piece_length = static_cast<std::int32_t>(16 * mib);
    CHECK(policy.first_offer() == 1);
    policy.pool_bytes = 0;
    CHECK(policy.first_offer() == 1);
}
