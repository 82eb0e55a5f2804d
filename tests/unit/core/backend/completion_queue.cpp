#include "core/backend/completion_queue.hpp"

#include <atomic>
#include <memory>
#include <semaphore>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

using jobs = std::vector<std::unique_ptr<int>>;

namespace {

std::vector<int> values(jobs const& taken) {
    std::vector<int> found;
    for (auto const& job : taken) {
        found.push_back(*job);
    }
    return found;
}

} // namespace

TEST_CASE("one wake for all jobs that end before they are taken, in their order") {
    int wakes = 0;
    completion_queue<int> queue([&wakes] { ++wakes; });
    queue.push(std::make_unique<int>(1));
    queue.push(std::make_unique<int>(2));
    queue.push(std::make_unique<int>(3));
    CHECK(wakes == 1);
    CHECK(values(queue.take({})) == std::vector{1, 2, 3});
    CHECK(queue.take({}).empty());
    queue.push(std::make_unique<int>(4));
    CHECK(wakes == 2);
    CHECK(values(queue.take({})) == std::vector{4});
}

TEST_CASE("the memory handed in is used for the next batch") {
    completion_queue<int> queue([] {});
    jobs memory;
    memory.reserve(100);
    auto const* const place = memory.data();
    static_cast<void>(queue.take(std::move(memory)));
    queue.push(std::make_unique<int>(1));
    CHECK(queue.take({}).data() == place);
}

TEST_CASE("the wake may push and take") {
    std::vector<int> seen;
    completion_queue<int>* self = nullptr;
    completion_queue<int> queue([&] {
        for (auto const& job : self->take({})) {
            seen.push_back(*job);
            if (*job > 0) {
                self->push(std::make_unique<int>(*job - 1));
            }
        }
    });
    self = &queue;
    queue.push(std::make_unique<int>(3));
    CHECK(seen == std::vector{3, 2, 1, 0});
}

TEST_CASE("no job and no wake is lost between threads") {
    constexpr int count = 20000;
    constexpr int threads = 4;
    std::counting_semaphore<> woken(0);
    completion_queue<int> queue([&woken] { woken.release(); });
    std::vector<int> last(threads, -1);
    int taken = 0;
    int wakes = 0;
    bool in_order = true;
    {
        std::vector<std::jthread> pushers;
        for (int self = 0; self < threads; ++self) {
            pushers.emplace_back([&queue, self] {
                for (int i = 0; i < count; ++i) {
                    queue.push(std::make_unique<int>(i * threads + self));
                }
            });
        }
        jobs batch;
        while (taken < count * threads) {
            woken.acquire(); // hangs where a wake is lost
            ++wakes;
            batch = queue.take(std::move(batch));
            for (auto const& job : batch) {
                auto& before = last[static_cast<std::size_t>(*job % threads)];
                in_order = in_order && *job / threads == before + 1;
                before = *job / threads;
            }
            taken += static_cast<int>(batch.size());
            batch.clear();
        }
    }
    CHECK(in_order);
    CHECK(taken == count * threads);
    CHECK(wakes <= taken);
    CHECK_FALSE(woken.try_acquire());
}
