#include "core/backend/completion_queue.hpp"

#include <deque>
#include <semaphore>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

struct numbered : block_waiter {
    explicit numbered(int value)
        : number(value) {}
    int number;
};

waiter_list list_of(std::initializer_list<numbered*> jobs) {
    waiter_list list;
    for (auto* const job : jobs) {
        list.push(job);
    }
    return list;
}

std::vector<int> numbers(waiter_list taken) {
    std::vector<int> found;
    while (!taken.empty()) {
        found.push_back(static_cast<numbered*>(taken.pop())->number);
    }
    return found;
}

} // namespace

TEST_CASE("one wake-up for all jobs that end before they are taken, in order") {
    int wakes = 0;
    completion_queue queue([&wakes] { ++wakes; });
    numbered one(1);
    numbered two(2);
    numbered three(3);
    numbered four(4);
    queue.push(list_of({&one}));
    queue.push(list_of({&two, &three}));
    CHECK(wakes == 1);
    CHECK(numbers(queue.take()) == std::vector{1, 2, 3});
    CHECK(queue.take().empty());
    queue.push(list_of({&four}));
    CHECK(wakes == 2);
    CHECK(numbers(queue.take()) == std::vector{4});
}

TEST_CASE("an empty push wakes no thread") {
    int wakes = 0;
    completion_queue queue([&wakes] { ++wakes; });
    queue.push({});
    CHECK(wakes == 0);
}

TEST_CASE("the wake-up may push and take") {
    std::vector<int> seen;
    completion_queue* self = nullptr;
    completion_queue queue([&] {
        for (auto taken = self->take(); !taken.empty();) {
            auto& job = static_cast<numbered&>(*taken.pop());
            seen.push_back(job.number);
            if (job.number-- > 0) {
                self->push(list_of({&job}));
            }
        }
    });
    self = &queue;
    numbered job(3);
    queue.push(list_of({&job}));
    CHECK(seen == std::vector{3, 2, 1, 0});
}

TEST_CASE("no job and no wake-up is lost between threads") {
    constexpr int count = 20000;
    constexpr int threads = 4;
    std::counting_semaphore<> woken(0);
    completion_queue queue([&woken] { woken.release(); });
    std::deque<numbered> jobs;
    for (int i = 0; i < count * threads; ++i) {
        jobs.emplace_back(i);
    }
    std::vector<int> last(threads, -1);
    int taken = 0;
    int wakes = 0;
    bool in_order = true;
    {
        std::vector<std::jthread> pushers;
        for (int self = 0; self < threads; ++self) {
            pushers.emplace_back([&queue, &jobs, self] {
                for (int i = 0; i < count; i += 2) {
                    queue.push(list_of({&jobs[static_cast<std::size_t>(i * threads + self)],
                                        &jobs[static_cast<std::size_t>((i + 1) * threads + self)]}));
                }
            });
        }
        while (taken < count * threads) {
            woken.acquire(); // hangs if a wake-up is lost
            ++wakes;
            for (auto const number : numbers(queue.take())) {
                auto& before = last[static_cast<std::size_t>(number % threads)];
                in_order = in_order && number / threads == before + 1;
                before = number / threads;
                ++taken;
            }
        }
    }
    CHECK(in_order);
    CHECK(taken == count * threads);
    CHECK(wakes <= taken);
    CHECK_FALSE(woken.try_acquire());
}
