#include "core/foundation/thread_confinement.hpp"

#include <thread>

#include <catch2/catch.hpp>

#ifndef NDEBUG // it checks nothing in a release build
TEST_CASE("an object confined to a thread may be used there again") {
    seedbed::thread_confinement const mine;
    mine.check();
    CHECK(mine.on_owner());
    bool elsewhere = true;
    std::thread([&] { elsewhere = mine.on_owner(); }).join();
    CHECK_FALSE(elsewhere);
}
#endif
