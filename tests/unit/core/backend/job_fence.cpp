#include "core/backend/job_fence.hpp"

#include <algorithm>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

struct named_job {
    std::string name;
};

/// Records the jobs that start; the test ends them.
struct recorder {
    std::string started;
    job_fence<named_job> fence{[this](std::unique_ptr<named_job> job) { started += job->name; }};

    void post(std::string const& name) { fence.post(std::make_unique<named_job>(named_job{name})); }
    void post_fence(std::string const& name) { fence.post_fence(std::make_unique<named_job>(named_job{name})); }
    /// The jobs that start when one job ends.
    std::string end() {
        started.clear();
        fence.ended();
        return started;
    }
};

} // namespace

TEST_CASE("jobs without a fence start at once") {
    recorder r;
    r.post("a");
    r.post("b");
    CHECK(r.started == "ab");
    CHECK(r.fence.outstanding() == 2);
    CHECK(r.end().empty());
    CHECK(r.end().empty());
    CHECK(r.fence.outstanding() == 0);
}

TEST_CASE("a fence on an idle storage starts at once") {
    recorder r;
    r.post_fence("F");
    CHECK(r.started == "F");
    r.post("a");
    CHECK(r.started == "F");
    CHECK(r.end() == "a");
}

TEST_CASE("a fence waits for every earlier job, later jobs for the fence") {
    recorder r;
    r.post("a");
    r.post("b");
    r.post_fence("F");
    r.post("c");
    r.post("d");
    CHECK(r.started == "ab");
    CHECK(r.fence.blocked() == 3);
    CHECK(r.end().empty());
    CHECK(r.end() == "F");
    CHECK(r.fence.outstanding() == 1);
    CHECK(r.end() == "cd");
    CHECK(r.fence.blocked() == 0);
}

TEST_CASE("fences run one at a time, in the order of posting") {
    recorder r;
    r.post_fence("F");
    r.post_fence("G");
    r.post("a");
    r.post_fence("H");
    r.post("b");
    CHECK(r.started == "F");
    CHECK(r.end() == "G");
    CHECK(r.end() == "a");
    CHECK(r.end() == "H");
    CHECK(r.end() == "b");
    r.post("c");
    CHECK(r.started == "bc");
}

TEST_CASE("a job posted while a fence waits does not overtake it") {
    recorder r;
    r.post("a");
    r.post_fence("F");
    CHECK(r.end() == "F");
    r.post("b");
    r.post_fence("G");
    r.post("c");
    CHECK(r.end() == "b");
    r.post("d");
    CHECK(r.end() == "G");
    CHECK(r.end() == "cd");
}

TEST_CASE("waiting jobs are dropped unstarted, even if they own their fence") {
    struct owning_job {
        std::shared_ptr<job_fence<owning_job>> fence;
    };
    int started = 0;
    auto fence = std::make_shared<job_fence<owning_job>>([&started](std::unique_ptr<owning_job>) { ++started; });
    std::weak_ptr<job_fence<owning_job>> const watch = fence;
    fence->post_fence(std::make_unique<owning_job>());
    fence->post(std::make_unique<owning_job>(owning_job{fence}));
    fence->post_fence(std::make_unique<owning_job>(owning_job{fence}));
    CHECK(fence->blocked() == 2);
    fence->drop_blocked();
    CHECK(fence->blocked() == 0);
    CHECK(fence.use_count() == 1);
    fence.reset();
    CHECK(watch.expired());
    CHECK(started == 1);
}

TEST_CASE("random order keeps the rules") {
    struct numbered {
        int number;
        bool fence;
    };
    std::mt19937 random(GENERATE(1U, 2U, 3U, 4U));
    std::set<int> running;
    std::set<int> running_fences;
    std::set<int> waiting;
    bool ok = true;
    job_fence<numbered> fence([&](std::unique_ptr<numbered> job) {
        ok = ok && running_fences.empty() && *waiting.begin() == job->number && (!job->fence || running.empty());
        waiting.erase(job->number);
        running.insert(job->number);
        if (job->fence) {
            running_fences.insert(job->number);
        }
    });
    for (int i = 0; i < 5000; ++i) {
        if (random() % 2 == 0 || running.empty()) {
            bool const is_fence = random() % 5 == 0;
            waiting.insert(i);
            auto job = std::make_unique<numbered>(numbered{i, is_fence});
            is_fence ? fence.post_fence(std::move(job)) : fence.post(std::move(job));
        } else {
            auto const which = std::next(running.begin(), static_cast<long>(random() % running.size()));
            running_fences.erase(*which);
            running.erase(which);
            fence.ended();
        }
        ok = ok && !running.empty() == (fence.outstanding() > 0) && fence.blocked() == waiting.size();
        ok = ok && (waiting.empty() || !running.empty()); // no job waits without reason
    }
    CHECK(ok);
}
