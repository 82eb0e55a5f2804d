#include "daemon/machine/job_history.hpp"

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/worker_pool.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace std::chrono_literals;
using seedbed::test::temp_dir;

namespace {

machine_job ended_sample(std::size_t number, job_state state = job_state::done) {
    machine_job job;
    job.id = fmt::format("{:016x}", number);
    job.state = state;
    job.order.image = "win";
    job.device = "/dev/sda";
    job.card = "52:54:00:00:00:01";
    job.phase = "verifying";
    job.percent = 99;
    job.started = std::chrono::system_clock::from_time_t(1'769'860'600);
    job.ended = *job.started + std::chrono::seconds(number);
    return job;
}

/// A history whose file is in a folder. Its destructor waits for the writes.
struct history_fixture {
    boost::asio::io_context main{1};
    worker_pool workers{"test", 2};
    job_history history{main, workers};

    explicit history_fixture(std::string const& folder) { open(folder); }
    void open(std::string const& folder) {
        history.open(folder);
        auto const work = boost::asio::make_work_guard(main);
        main.restart();
        REQUIRE(main.run_one_for(10s) == 1);
    }
    [[nodiscard]] std::string ids() const {
        std::string all;
        for (auto const& each : history.jobs()) {
            all += each->machine + "=" + each->job.id.substr(14) + " ";
        }
        return all;
    }
};

std::string history_file(temp_dir const& folder) {
    std::ifstream in(folder / "machine-history.jsonl");
    return {std::istreambuf_iterator<char>(in), {}};
}

} // namespace

TEST_CASE("job history: ended jobs are in the file, and after a restart they are the same") {
    temp_dir const folder;
    {
        history_fixture f(folder.path());
        CHECK(f.history.jobs().empty());
        f.history.add("PC-1", ended_sample(1));
        auto failed = ended_sample(2, job_state::failed);
        failed.reason = "EIO";
        f.history.add("PC-2", failed);
    }
    history_fixture f(folder.path());
    REQUIRE(f.ids() == "PC-1=01 PC-2=02 ");
    auto const& job = f.history.jobs().back()->job;
    auto const expected = ended_sample(2, job_state::failed);
    CHECK(job.state == job_state::failed);
    CHECK(job.reason == "EIO");
    CHECK(job.order.image == expected.order.image);
    CHECK(job.device == expected.device);
    CHECK(job.card == expected.card);
    CHECK(job.started == expected.started);
    CHECK(job.ended == expected.ended);
    CHECK(job.phase.empty());
    CHECK(job.percent == -1);
}

TEST_CASE("job history: it does not grow above its limit, in memory or in the file") {
    temp_dir const folder;
    {
        history_fixture f(folder.path());
        for (std::size_t i = 0; i < most_ended_jobs + 5; ++i) {
            f.history.add("PC", ended_sample(i));
        }
        CHECK(f.history.jobs().size() == most_ended_jobs);
        CHECK(f.history.jobs().front()->job.id == ended_sample(5).id);
    }
    auto const text = history_file(folder);
    CHECK(std::ranges::count(text, '\n') == most_ended_jobs);
    std::size_t skipped = 0;
    auto const jobs = parse_history_file(text + text.substr(0, text.find('\n') + 1), skipped);
    CHECK(jobs.size() == most_ended_jobs);
    CHECK(skipped == 0);
    CHECK(jobs.back()->job.id == ended_sample(5).id); // the last ones are kept
}

TEST_CASE("job history: an end that is reported again is one entry") {
    temp_dir const folder;
    history_fixture f(folder.path());
    f.history.add("PC-1", ended_sample(1));
    f.history.add("PC-2", ended_sample(2));
    f.history.add("PC-1", ended_sample(1));
    CHECK(f.ids() == "PC-2=02 PC-1=01 ");
}

TEST_CASE("job history: jobs that end before the file has been read come after its jobs") {
    temp_dir const folder;
    {
        history_fixture f(folder.path());
        f.history.add("PC-1", ended_sample(1));
    }
    {
        history_fixture f(folder / "other");
        f.history.open(folder.path());
        f.history.add("PC-2", ended_sample(2));
        CHECK(f.ids() == "PC-2=02 ");
        f.main.restart();
        auto const work = boost::asio::make_work_guard(f.main);
        REQUIRE(f.main.run_one_for(10s) == 1);
        CHECK(f.ids() == "PC-1=01 PC-2=02 ");
    }
    CHECK(history_fixture(folder.path()).ids() == "PC-1=01 PC-2=02 ");
}

TEST_CASE("job history: damaged lines are left out") {
    std::size_t skipped = 0;
    auto const good = format_history_file({std::make_shared<ended_job const>(ended_job{"PC-1", ended_sample(1)})});
    auto const running = format_history_file(
        {std::make_shared<ended_job const>(ended_job{"PC-2", ended_sample(2, job_state::running)})});
    auto const jobs = parse_history_file("{\n" + good + running + "[]\n" + good.substr(0, 20), skipped);
    CHECK(jobs.size() == 1);
    CHECK(skipped == 4);
}

TEST_CASE("job history: a file that cannot be read stays as it is") {
    temp_dir const folder;
    std::filesystem::create_directory(folder / "machine-history.jsonl");
    {
        history_fixture f(folder.path());
        f.history.add("PC-1", ended_sample(1));
        CHECK(f.ids() == "PC-1=01 "); // kept in memory
    }
    CHECK(std::filesystem::is_directory(folder / "machine-history.jsonl"));
}

TEST_CASE("job history: the document has the newest job first, and printable texts") {
    auto job = ended_sample(2, job_state::refused);
    job.reason = "too small\x1b\xff";
    job.device.clear();
    auto const document = nlohmann::json::parse(
        to_history_document({std::make_shared<ended_job const>(ended_job{"PC-1", ended_sample(1)}),
                             std::make_shared<ended_job const>(ended_job{"PC-2", job})}));
    CHECK(document.at("format") == 1);
    REQUIRE(document.at("jobs").size() == 2);
    CHECK(document.at("jobs")[0] == nlohmann::json::parse(R"({"machine": "PC-2", "job": "0000000000000002",
        "state": "refused", "image": "win", "device": null, "card": "52:54:00:00:00:01", "reason": "too small??",
        "started_at": "2026-01-31T11:56:40Z", "ended_at": "2026-01-31T11:56:42Z"})"));
    CHECK(document.at("jobs")[1].at("machine") == "PC-1");
}
