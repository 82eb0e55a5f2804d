// Simulates how an image spreads from one seed to many machines whose links have the seed's rate, under the policy of
// piece_offers. Prints the machines, the time until the last one has the image in units of image / link, and the images
// that the seed has sent.
//
// Usage: swarm_curve PIECES MACHINES...

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

#include "support/swarm_simulation.hpp"

using seedbed::test::swarm_simulation;

int main(int argc, char** argv) {
    auto const arguments = std::span(argv, static_cast<std::size_t>(argc)).subspan(1);
    if (arguments.size() < 2) {
        std::fputs("usage: swarm_curve PIECES MACHINES...\n", stderr);
        return 2;
    }
    constexpr double rate = 9.5; // pieces of 256 KiB a second, at 20 Mbit/s
    auto const pieces = std::atoi(arguments[0]);
    auto const ideal = pieces / rate;
    for (auto const* each : arguments.subspan(1)) {
        auto const count = static_cast<std::size_t>(std::atoll(each));
        std::vector<swarm_simulation::machine> const machines(count, {.up = rate, .down = rate});
        auto const result = swarm_simulation(pieces, rate, machines, 1).run(100 * ideal);
        std::printf("%zu %.3f %.3f\n", count, *std::ranges::max_element(result.complete) / ideal, result.sent);
        std::fflush(stdout);
    }
}
