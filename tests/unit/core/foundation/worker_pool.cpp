#include "core/foundation/worker_pool.hpp"

#include <pthread.h>
#include <sys/syscall.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <future>
#include <latch>
#include <memory>
#include <mutex>
#include <numeric>
#include <semaphore>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include <catch2/catch.hpp>

#include "support/failing_system_call.hpp"

using namespace seedbed;
using std::chrono::steady_clock;

namespace {

/// The actions of jobs, in order.
class journal {
public:
    void add(int entry) {
        std::lock_guard const lock(m_mutex);
        m_entries.push_back(entry);
        m_changed.notify_all();
    }

    /// Returns when it has \p count entries.
    std::vector<int> wait_for(std::size_t count) {
        std::unique_lock lock(m_mutex);
        m_changed.wait(lock, [&] { return m_entries.size() >= count; });
        return m_entries;
    }

    [[nodiscard]] std::vector<int> entries() {
        std::lock_guard const lock(m_mutex);
        return m_entries;
    }

private:
    std::mutex m_mutex;
    std::condition_variable m_changed;
    std::vector<int> m_entries;
};

std::vector<int> numbers_up_to(int count) {
    std::vector<int> numbers(static_cast<std::size_t>(count));
    std::iota(numbers.begin(), numbers.end(), 0);
    return numbers;
}

} // namespace

TEST_CASE("every job runs once, and the destructor returns after the last") {
    constexpr std::size_t count = 2000;
    std::vector<std::atomic<int>> runs(count);
    {
        worker_pool pool("test", 4);
        for (auto& run : runs) {
            pool.submit([&run] { ++run; });
        }
    }
    for (auto& run : runs) {
        REQUIRE(run == 1);
    }
}

TEST_CASE("jobs start in the order of submission") {
    journal started;
    {
        worker_pool pool("test", 1);
        for (int i = 0; i < 500; ++i) {
            pool.submit([&started, i] { started.add(i); });
        }
    }
    CHECK(started.entries() == numbers_up_to(500));
}

TEST_CASE("as many jobs run at once as the pool has threads, the first ones first") {
    std::latch release(1);
    journal started;
    std::vector<int> before;
    {
        worker_pool pool("test", 3);
        for (int i = 0; i < 9; ++i) {
            pool.submit([&, i] {
                started.add(i);
                release.wait();
            });
        }
        before = started.wait_for(3);
        CHECK(pool.current_progress().pending == 9);
        release.count_down();
    }
    std::ranges::sort(before);
    CHECK(before == numbers_up_to(3));
    CHECK(started.entries().size() == 9);
}

TEST_CASE("a pool that grows while a job runs uses its new threads at once") {
    std::latch all_run(3); // which only three threads at a time can pass
    journal ended;
    worker_pool pool("test", 1);
    for (int i = 0; i < 3; ++i) {
        pool.submit([&, i] {
            all_run.arrive_and_wait();
            ended.add(i);
        });
    }
    pool.set_threads(3);
    CHECK(pool.threads() == 3);
    CHECK(ended.wait_for(3).size() == 3);
}

TEST_CASE("a pool that shrinks while jobs run waits for none, and keeps the waiting jobs in order") {
    constexpr int waiting = 200;
    std::latch running(4);
    std::latch release(1);
    std::atomic<int> at_once{0};
    std::atomic<int> most_at_once{0};
    journal started;
    {
        worker_pool pool("test", 4);
        for (int i = 0; i < 4; ++i) {
            pool.submit([&] {
                running.count_down();
                release.wait();
            });
        }
        running.wait();
        for (int i = 0; i < waiting; ++i) {
            pool.submit([&, i] {
                most_at_once = std::max(most_at_once.load(), ++at_once);
                started.add(i);
                --at_once;
            });
        }
        pool.set_threads(1); // returns although four jobs wait for the next line
        CHECK(pool.threads() == 1);
        release.count_down();
    }
    CHECK(started.entries() == numbers_up_to(waiting));
    CHECK(most_at_once == 1);
}

TEST_CASE("idle threads that are too many leave no job behind") {
    worker_pool pool("test", 8);
    for (int round = 0; round < 50; ++round) {
        pool.set_threads(round % 2 == 0 ? 1 : 8);
        // Right after the change, so that the job can be signalled to a thread that is about to end.
        std::promise<void> ran;
        pool.submit([&] { ran.set_value(); });
        ran.get_future().wait();
    }
    CHECK(pool.threads() == 8);
}

TEST_CASE("changing the number of threads under load loses no job and runs none twice") {
    constexpr std::size_t submitters = 3;
    constexpr std::size_t each = 1000;
    std::vector<std::atomic<int>> runs(submitters * each);
    {
        worker_pool pool("test", 2);
        std::vector<std::thread> threads;
        for (std::size_t submitter = 0; submitter < submitters; ++submitter) {
            threads.emplace_back([&, submitter] {
                for (std::size_t i = 0; i < each; ++i) {
                    pool.submit([&run = runs[submitter * each + i]] { ++run; });
                }
            });
        }
        for (int i = 0; i < 200; ++i) {
            pool.set_threads(1 + i % 7);
        }
        for (auto& thread : threads) {
            thread.join();
        }
    }
    for (auto& run : runs) {
        REQUIRE(run == 1);
    }
}

TEST_CASE("the destructor finishes the waiting jobs and those that the last jobs submit") {
    std::latch release(1);
    journal ran;
    auto pool = std::make_unique<worker_pool>("test", 2);
    for (int i = 0; i < 10; ++i) {
        pool->submit([&, i, &the_pool = *pool] {
            release.wait();
            the_pool.submit([&ran, i] { ran.add(i); });
        });
    }
    std::thread destroyer([&] { pool.reset(); });
    release.count_down();
    destroyer.join();
    auto entries = ran.entries();
    std::ranges::sort(entries);
    CHECK(entries == numbers_up_to(10));
}

TEST_CASE("a job may change the number of threads of its own pool") {
    journal ran;
    worker_pool pool("test", 2);
    for (int i = 0; i < 20; ++i) {
        pool.submit([&, i] {
            pool.set_threads(1 + i % 3);
            ran.add(i);
        });
    }
    CHECK(ran.wait_for(20).size() == 20);
}

TEST_CASE("a pool has at least one thread") {
    journal ran;
    worker_pool pool("test", 0);
    CHECK(pool.threads() == 1);
    pool.set_threads(-3);
    CHECK(pool.threads() == 1);
    pool.submit([&] { ran.add(0); });
    CHECK(ran.wait_for(1).size() == 1);
}

TEST_CASE("the threads have the name, cut to the kernel's limit") {
    auto const name_in = [](worker_pool& pool) {
        std::promise<std::string> name;
        pool.submit([&] {
            std::array<char, 16> text{};
            int const code = pthread_getname_np(pthread_self(), text.data(), text.size());
            name.set_value(code == 0 ? text.data() : "no name");
        });
        return name.get_future().get();
    };
    worker_pool of_short_name("disk sda", 1);
    worker_pool of_long_name("0123456789abcdefgh", 1);
    CHECK(name_in(of_short_name) == "disk sda");
    CHECK(name_in(of_long_name) == "0123456789abcde");
}

TEST_CASE("an idle pool has made progress until now") {
    worker_pool const pool("test", 2);
    auto const before = steady_clock::now();
    auto const progress = pool.current_progress();
    CHECK(progress.completed == 0);
    CHECK(progress.pending == 0);
    CHECK(progress.stalled_since >= before);
    CHECK(progress.stalled_since <= steady_clock::now());
}

TEST_CASE("a pool with a job that does not end has stalled since its submission or the end of the last job") {
    std::latch first_runs(1);
    std::latch release_first(1);
    std::latch second_runs(1);
    std::latch release_second(1);
    worker_pool pool("test", 1);

    auto const before_submit = steady_clock::now();
    pool.submit([&] {
        first_runs.count_down();
        release_first.wait();
    });
    auto const after_submit = steady_clock::now();
    first_runs.wait();
    auto const first = pool.current_progress();
    CHECK(first.completed == 0);
    CHECK(first.pending == 1);
    CHECK(first.stalled_since >= before_submit);
    CHECK(first.stalled_since <= after_submit);

    // A job submitted meanwhile is not progress.
    pool.submit([&] {
        second_runs.count_down();
        release_second.wait();
    });
    auto const beside = pool.current_progress();
    CHECK(beside.pending == 2);
    CHECK(beside.stalled_since == first.stalled_since);

    auto const before_end = steady_clock::now();
    release_first.count_down();
    second_runs.wait();
    auto const second = pool.current_progress();
    CHECK(second.completed == 1);
    CHECK(second.pending == 1);
    CHECK(second.stalled_since >= before_end);
    CHECK(pool.current_progress().stalled_since == second.stalled_since);
    release_second.count_down();
}

TEST_CASE("a job counts as ended when its captures are released") {
    worker_pool pool("test", 1);
    std::promise<worker_pool::progress> at_release;
    auto const report = [&](int* number) {
        delete number;
        at_release.set_value(pool.current_progress());
    };
    pool.submit([held = std::shared_ptr<int>(new int(0), report)] {});
    auto const progress = at_release.get_future().get();
    CHECK(progress.completed == 0);
    CHECK(progress.pending == 1);
}

TEST_CASE("a pool that cannot get more threads works with those it has") {
    SEEDBED_REQUIRE_SECCOMP();
    journal ran;
    worker_pool pool("test", 1);
    bool const grown = test::with_failing_system_calls({SYS_clone, SYS_clone3}, EAGAIN, [&] {
        pool.set_threads(4);
        return true;
    });
    CHECK(grown);
    pool.submit([&] { ran.add(0); });
    CHECK(ran.wait_for(1).size() == 1);

    std::latch all_run(4);
    pool.set_threads(4); // as many as requested, once available
    for (int i = 0; i < 4; ++i) {
        pool.submit([&] {
            all_run.arrive_and_wait();
            ran.add(1);
        });
    }
    CHECK(ran.wait_for(5).size() == 5);
}

TEST_CASE("the constructor fails if it cannot start a single thread") {
    SEEDBED_REQUIRE_SECCOMP();
    int const code = test::with_failing_system_calls({SYS_clone, SYS_clone3}, EAGAIN, [] {
        try {
            worker_pool const pool("test", 2);
        } catch (std::system_error const& refused) {
            return refused.code().value();
        }
        return 0;
    });
    CHECK(code == EAGAIN);
}

TEST_CASE("a lent thread runs waiting jobs, and ends when it is returned") {
    worker_pool pool("lend", 1);
    for (int round = 0; round < 3; ++round) {
        std::binary_semaphore waits{0};
        std::binary_semaphore ran{0};
        std::binary_semaphore ended{0};
        pool.submit([&] {
            pool.lend_thread();
            waits.acquire();
            pool.return_thread();
            ended.release();
        });
        pool.submit([&] { ran.release(); });
        CHECK(ran.try_acquire_for(std::chrono::minutes(1)));
        CHECK(pool.threads() == 1);
        waits.release();
        ended.acquire();
        // One thread: jobs run one after another again, once the other thread has ended.
        auto const deadline = std::chrono::steady_clock::now() + std::chrono::minutes(1);
        for (bool alone = false; !alone;) {
            std::binary_semaphore first{0};
            std::binary_semaphore second{0};
            std::binary_semaphore done{0};
            pool.submit([&] {
                alone = !second.try_acquire_for(std::chrono::milliseconds(20));
                first.release();
            });
            pool.submit([&] {
                second.release();
                done.release();
            });
            first.acquire();
            done.acquire();
            REQUIRE(std::chrono::steady_clock::now() < deadline);
        }
    }
}
