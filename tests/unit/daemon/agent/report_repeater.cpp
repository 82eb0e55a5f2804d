#include "daemon/agent/report_repeater.hpp"

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

job_report in_phase(std::string phase) {
    return {.id = "job", .phase = std::move(phase)};
}

/// A server that notes phases, and blocks its sender until it is opened.
class noting_server {
public:
    void note(job_report const& said) {
        std::unique_lock lock(m_mutex);
        m_phases.push_back(said.phase);
        m_changed.notify_all();
        m_changed.wait(lock, [this] { return m_open; });
    }
    void open() {
        std::lock_guard const lock(m_mutex);
        m_open = true;
        m_changed.notify_all();
    }
    /// Waits until so many phases were noted. \return them.
    std::vector<std::string> await(std::size_t count) {
        std::unique_lock lock(m_mutex);
        REQUIRE(m_changed.wait_for(lock, 60s, [&] { return m_phases.size() >= count; }));
        return m_phases;
    }

private:
    std::mutex m_mutex;
    std::condition_variable m_changed;
    bool m_open = false;
    std::vector<std::string> m_phases;
};

} // namespace

TEST_CASE("a phase is reported again while it lasts") {
    noting_server server;
    server.open();
    report_repeater reports([&](auto const& said) { server.note(said); }, 1ms);
    reports.set(in_phase("10-a"));
    auto const phases = server.await(3);
    CHECK(phases.back() == "10-a");
}

TEST_CASE("the last phase is reported at once, also after one whose report took long") {
    noting_server server;
    report_repeater reports([&](auto const& said) { server.note(said); }, 1h);
    reports.set(in_phase("10-a"));
    CHECK(server.await(1) == std::vector<std::string>{"10-a"});
    reports.set(in_phase("20-b"));
    reports.set(in_phase("30-c"));
    server.open();
    CHECK(server.await(2) == std::vector<std::string>{"10-a", "30-c"});
}

TEST_CASE("without a phase, nothing is reported") {
    noting_server server;
    server.open();
    {
        report_repeater const reports([&](auto const& said) { server.note(said); }, 1ms);
    }
    CHECK(server.await(0).empty());
}
