#include "daemon/log/line_limit.hpp"

#include <chrono>
#include <optional>
#include <string>

#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

TEST_CASE("line limit: a line states how many like it were left out before") {
    line_limit limit(2, 1min);
    allowance::clock::time_point now{1h};
    CHECK(limit.take_noting(now) == "");
    CHECK(limit.take_noting(now) == "");
    for (int i = 0; i < 3; ++i) {
        CHECK(limit.take_noting(now) == std::nullopt);
    }
    now += 1min;
    CHECK(limit.take_noting(now) == " (left out before: 3 lines like this)");
    CHECK(limit.take_noting(now) == std::nullopt);
    now += 1min;
    CHECK(limit.take_noting(now) == " (left out before: 1 line like this)");
    now += 1min;
    CHECK(limit.take_noting(now) == "");
}
