#include "daemon/machine/job_state.hpp"

#include <array>
#include <string>

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("a job waits, runs and ends once") {
    using enum job_state;
    constexpr std::array all{waiting, running, done, refused, failed};
    std::string legal;
    for (auto const from : all) {
        for (auto const to : all) {
            legal += may_become(from, to) ? std::string(to_string(from)) + ">" + to_string(to) + " " : "";
        }
        CHECK(is_final(from) == (from != waiting && from != running));
        CHECK(parse_job_state(to_string(from)) == from);
    }
    CHECK(legal == "waiting>running running>done running>refused running>failed ");
    CHECK_FALSE(parse_job_state("Done"));
}
