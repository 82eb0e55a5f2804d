#include "core/foundation/thread_checker.hpp"

#include <thread>

#include <catch2/catch.hpp>

TEST_CASE("a thread checker tells its own thread from another") {
    seedbed::thread_checker const mine;
    CHECK(mine.on_owner());
    mine.check();
    bool elsewhere = true;
    std::thread([&] { elsewhere = mine.on_owner(); }).join();
    CHECK_FALSE(elsewhere);
}
