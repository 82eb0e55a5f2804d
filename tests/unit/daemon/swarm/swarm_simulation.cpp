#include "support/swarm_simulation.hpp"

#include <algorithm>
#include <cstddef>
#include <vector>

#include <catch2/catch.hpp>

using seedbed::test::swarm_simulation;
using machine = swarm_simulation::machine;

namespace {

constexpr int pieces = 256;
constexpr double rate = 9.5; ///< pieces of 256 KiB a second, at 20 Mbit/s
constexpr double ideal = pieces / rate;
constexpr machine ordinary{.up = rate, .down = rate};

swarm_simulation::outcome simulate(std::vector<machine> const& machines, std::size_t shards = 1) {
    return swarm_simulation(pieces, rate, machines, 1, shards).run(100 * ideal);
}
/// When the last of the machines from \p first on has the image, in units of the ideal time.
double last(swarm_simulation::outcome const& of, std::size_t first = 0) {
    return *std::max_element(of.complete.begin() + static_cast<std::ptrdiff_t>(first), of.complete.end()) / ideal;
}
/// Whether a machine lacked a piece and received nothing, while the seed's link was not full, for longer than the
/// seed's interval of a second, two looks of the simulation, and the time that the link needs for a piece.
bool any_idle(swarm_simulation::outcome const& of) {
    return std::ranges::any_of(of.idle, [](double seconds) { return seconds > 1.1 + 1 / rate; });
}

} // namespace

TEST_CASE("simulated swarm: all machines have the image about when the seed has sent it once") {
    auto const count = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{8}, std::size_t{10}, std::size_t{50});
    auto const result = simulate(std::vector(count, ordinary));
    CAPTURE(count, last(result), result.sent);
    CHECK(last(result) <= 1.15);
    CHECK(result.sent <= 1.10);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: few pieces are in flight, however unevenly their transfers share the seed's link") {
    constexpr double slow = rate / 4;
    swarm_simulation swarm(pieces, slow, std::vector(50, machine{.up = slow, .down = slow}), 1);
    swarm.share_unevenly();
    auto const result = swarm.run(1000 * ideal);
    auto const time = last(result) / 4;
    CAPTURE(time, result.sent, result.most_from_seed);
    CHECK(result.most_from_seed <= 16);
    CHECK(time <= 1.15);
    CHECK(result.sent <= 1.10);
}

TEST_CASE("simulated swarm: slow machines do not keep the link from fast ones, however unevenly they share it") {
    std::vector machines(50, ordinary);
    for (std::size_t i = 0; i < 25; ++i) {
        machines[i] = {.up = rate / 10, .down = rate / 10};
    }
    swarm_simulation swarm(pieces, rate, machines, 1);
    swarm.share_unevenly();
    auto const result = swarm.run(100 * ideal);
    CAPTURE(last(result, 25), result.sent);
    CHECK(last(result, 25) <= 2);
}

TEST_CASE("simulated swarm: a thousand machines") {
    constexpr int few = 16; // so that it does not take long
    auto const result = swarm_simulation(few, rate, std::vector(1000, ordinary), 1).run(100 * ideal);
    auto const time = last(result) * pieces / few;
    CAPTURE(time, result.sent);
    CHECK(time <= 3.2);
    CHECK(result.sent <= 3);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: machines that start one after another") {
    std::vector machines(10, ordinary);
    for (std::size_t i = 0; i < machines.size(); ++i) {
        machines[i].joins = 0.2 * static_cast<double>(i);
    }
    auto const result = simulate(machines);
    CAPTURE(last(result), result.sent);
    CHECK(last(result) <= 1.15 + 1.8 / ideal);
    CHECK(result.sent <= 1.10);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: a machine with a fraction of the rate does not delay the others") {
    auto const part = GENERATE(6, 10);
    std::vector machines(10, ordinary);
    machines[0] = {.up = rate / part, .down = rate / part};
    auto const result = simulate(machines);
    CAPTURE(part, last(result, 1), result.sent);
    CHECK(last(result, 1) <= 1.25);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: half of the machines are slow and start first") {
    std::vector machines(10, ordinary);
    for (std::size_t i = 0; i < 5; ++i) {
        machines[i] = {.up = rate / 10, .down = rate / 10};
        machines[i + 5].joins = 1;
    }
    auto const result = simulate(machines);
    CAPTURE(last(result, 5), result.sent);
    CHECK(last(result, 5) <= 1.4);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: a machine alone with a slow one is as fast as alone") {
    auto const first = GENERATE(0.0, 2.0); // the slow one is there from the start
    machine const slow{.up = rate / 6, .down = rate / 6};
    auto const result = simulate({slow, {.up = rate, .down = rate, .joins = first}});
    CAPTURE(first, last(result, 1), result.sent);
    CHECK(last(result, 1) <= 1.2 + first / ideal);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: a link that is much faster than a slow machine's serves the other one at full rate") {
    machine const slow{.up = rate / 6, .down = rate / 6};
    auto const result =
        swarm_simulation(pieces, 50 * rate, {slow, {.up = 50 * rate, .down = 50 * rate, .joins = 0.5}}, 1)
            .run(100 * ideal);
    CAPTURE(result.complete[1], result.sent);
    CHECK(result.complete[1] <= 0.5 + 2 * ideal / 50 + 0.5);
}

TEST_CASE("simulated swarm: a machine that gives nothing away does not delay the others") {
    std::vector machines(10, ordinary);
    machines[0].up = 0;
    auto const result = simulate(machines);
    CAPTURE(last(result), result.sent);
    CHECK(last(result) <= 1.25);
    CHECK(result.sent <= 1.15);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: ten machines that join at half time end within 1.2 of the ideal time") {
    std::vector machines(20, ordinary);
    for (std::size_t i = 10; i < machines.size(); ++i) {
        machines[i].joins = ideal / 2;
    }
    auto const result = simulate(machines);
    CAPTURE(last(result), result.sent);
    CHECK(last(result) <= 0.5 + 1.2);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: a piece whose only holder vanishes is sent again") {
    std::vector machines(4, ordinary);
    machines[0].up = 0;
    machines[0].leaves = ideal * 0.9;
    auto const result = simulate(machines);
    CAPTURE(last(result, 1), result.sent);
    CHECK(last(result, 1) <= 1.3);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: clients that do not understand get the image together with others that do") {
    std::vector machines(10, ordinary);
    for (std::size_t i = 0; i < 3; ++i) {
        machines[i].understands = false;
    }
    auto const result = simulate(machines);
    CAPTURE(last(result), result.sent);
    CHECK(last(result) <= 1.3);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: machines that cannot reach each other get the image as fast as the seed can send it") {
    std::vector machines(4, ordinary);
    for (auto& each : machines) {
        each.reachable = false;
    }
    auto const result = simulate(machines);
    CAPTURE(last(result), result.sent);
    CHECK(last(result) <= 4 * 1.15);
    CHECK_FALSE(any_idle(result));
}

TEST_CASE("simulated swarm: several network shards send the image about once together") {
    auto const shards = GENERATE(std::size_t{2}, std::size_t{4});
    auto const result = simulate(std::vector(10, ordinary), shards);
    CAPTURE(shards, last(result), result.sent);
    CHECK(last(result) <= 1.2);
    // In the end, each shard gives pieces that another one has just given.
    CHECK(result.sent <= 1.08 + 0.03 * static_cast<double>(shards));
    CHECK_FALSE(any_idle(result));
}
