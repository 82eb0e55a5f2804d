#include "core/backend/work_gate.hpp"

#include <atomic>
#include <latch>
#include <thread>

#include <catch2/catch.hpp>

using namespace seedbed;

TEST_CASE("work runs while the gate is open, and not afterwards") {
    work_gate gate;
    int runs = 0;
    gate.enter([&runs] { ++runs; });
    gate.close();
    gate.enter([&runs] { ++runs; });
    CHECK(runs == 1);
}

TEST_CASE("closing the gate waits for the work that is inside") {
    work_gate gate;
    std::latch inside(1);
    std::latch closing(1);
    std::atomic<bool> ended{false};
    std::jthread const worker([&] {
        gate.enter([&] {
            inside.count_down();
            closing.wait();
            std::this_thread::yield();
            ended = true;
        });
    });
    inside.wait();
    closing.count_down();
    gate.close();
    CHECK(ended);
}
