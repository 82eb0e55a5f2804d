#include "core/backend/in_flight_count.hpp"

#include <atomic>
#include <thread>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("a job is in flight while its token exists, wherever that moves") {
    in_flight_count count;
    {
        auto token = count.begin();
        auto moved = std::move(token);
        CHECK(count.count() == 1);
        CHECK_FALSE(token);
        CHECK(moved);
    }
    CHECK(count.count() == 0);
    count.wait();
}

TEST_CASE("assigning to a token ends the job that it was for") {
    in_flight_count count;
    auto token = count.begin();
    auto const other = count.begin();
    token = {};
    CHECK(count.count() == 1);
}

TEST_CASE("joined tokens end together") {
    in_flight_count count;
    in_flight_count::token all;
    for (int i = 0; i < 3; ++i) {
        all.join(count.begin());
    }
    all.join({});
    CHECK(count.count() == 3);
    SECTION("with the last one") {
        all = {};
    }
    SECTION("on the owner's thread") {
        all.end_on_owner();
        CHECK_FALSE(all);
    }
    CHECK(count.count() == 0);
}

TEST_CASE("waiting returns only when the last job has ended") {
    in_flight_count count;
    std::atomic<int> ended{0};
    std::vector<std::jthread> threads;
    for (int i = 0; i < 4; ++i) {
        threads.emplace_back([token = count.begin(), &ended]() mutable {
            ++ended;
            token = {};
        });
    }
    count.wait();
    CHECK(ended == 4);
}
