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

swarm_simulation::outcome simulate(std::vector<machine> const& machines, double limit = 100 * ideal) {
    return swarm_simulation(pieces, rate, machines, 1).run(limit);
}
/// When the last of the machines from \p first on has the image, in units of the ideal time.
double last(swarm_simulation::outcome const& of, std::size_t first = 0) {
    return *std::max_element(of.complete.begin() + static_cast<std::ptrdiff_t>(first), of.complete.end()) / ideal;
}

} // namespace

TEST_CASE("simulated swarm: all machines have the image about when the seed has sent it once") {
    auto const count = GENERATE(std::size_t{1}, std::size_t{2}, std::size_t{8}, std::size_t{10}, std::size_t{50});
    auto const result = simulate(std::vector(count, ordinary));
    CAPTURE(count, last(result), result.sent);
    CHECK(last(result) <= 1.15);
    CHECK(result.sent <= 1.10);
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
}

TEST_CASE("simulated swarm: a machine with a tenth of the rate does not delay the others") {
    std::vector machines(10, ordinary);
    machines[0] = {.up = rate / 10, .down = rate / 10};
    auto const result = simulate(machines);
    CAPTURE(last(result, 1), result.sent);
    CHECK(last(result, 1) <= 1.4);
}

TEST_CASE("simulated swarm: a machine that gives nothing away does not delay the others") {
    std::vector machines(10, ordinary);
    machines[0].up = 0;
    auto const result = simulate(machines);
    CAPTURE(last(result), result.sent);
    CHECK(last(result) <= 1.25);
    CHECK(result.sent <= 1.15);
}

TEST_CASE("simulated swarm: ten machines that join at half time end within 1.2 of the ideal time") {
    std::vector machines(20, ordinary);
    for (std::size_t i = 10; i < machines.size(); ++i) {
        machines[i].joins = ideal / 2;
    }
    auto const result = simulate(machines);
    CAPTURE(last(result), result.sent);
    CHECK(last(result) <= 0.5 + 1.2);
}

TEST_CASE("simulated swarm: a piece whose only holder vanishes is sent again") {
    std::vector machines(4, ordinary);
    machines[0].up = 0;
    machines[0].leaves = ideal * 0.9;
    auto const result = simulate(machines);
    CAPTURE(last(result, 1), result.sent);
    CHECK(last(result, 1) <= 1.3);
}

TEST_CASE("simulated swarm: clients that do not understand get the image together with others that do") {
    std::vector machines(10, ordinary);
    for (std::size_t i = 0; i < 3; ++i) {
        machines[i].understands = false;
    }
    auto const result = simulate(machines);
    CAPTURE(last(result), result.sent);
    CHECK(last(result) <= 2);
}

TEST_CASE("simulated swarm: machines that cannot reach each other get the image as fast as the seed can send it") {
    std::vector machines(4, ordinary);
    for (auto& each : machines) {
        each.reachable = false;
    }
    auto const result = simulate(machines);
    CAPTURE(last(result), result.sent);
    CHECK(last(result) <= 4 * 1.15);
}
