#include "daemon/service/watchdog.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/log/logging.hpp"
#include "support/notify_socket.hpp"
#include "support/temp_dir.hpp"

using namespace seedbed;
using namespace seedbed::test;
using namespace std::chrono_literals;

namespace {

/// A watchdog of 20 ms, whose manager is the test.
struct watched {
    temp_dir const folder;
    no_service const clean;
    notify_socket manager{(folder / "notify").string()};
    scoped_variable const socket{"NOTIFY_SOCKET", (folder / "notify").string()};
    scoped_variable const interval{"WATCHDOG_USEC", "20000"};
    boost::asio::io_context main{1};
    service_notify notify;
    std::string hang;
    watchdog::clock::duration limit{};
    int probes = 0;
    std::vector<std::string> errors;
    watchdog dog{main, notify,
                 [this](watchdog::clock::duration given) {
                     limit = given;
                     return hang;
                 },
                 [this] { ++probes; }};

    watched() {
        start_logging(log_level::info, [this](log_level, std::string_view line) { errors.emplace_back(line); });
        dog.start();
    }
    ~watched() { start_logging(log_level::info); }
    watched(watched const&) = delete;
    watched& operator=(watched const&) = delete;

    /// Runs until it has checked \p more times. \return how often it was fed meanwhile.
    std::size_t look(int more) {
        for (auto const until = probes + more; probes < until;) {
            REQUIRE(main.run_one_for(10s) > 0);
        }
        auto const messages = manager.messages();
        CHECK(std::ranges::count(messages, "WATCHDOG=1") == static_cast<std::ptrdiff_t>(messages.size()));
        return messages.size();
    }
};

} // namespace

TEST_CASE("the watchdog is fed at each check while nothing hangs") {
    watched daemon;
    CHECK(daemon.look(3) == 3);
    CHECK(daemon.limit == 20ms);
    CHECK(daemon.errors.empty());
}

TEST_CASE("the watchdog is not fed while something hangs, and each hang is logged once") {
    watched daemon;
    daemon.hang = "sda1: stuck";
    CHECK(daemon.look(3) == 0);
    CHECK(daemon.errors == std::vector<std::string>{"sda1: stuck; the watchdog is not fed"});
    daemon.hang.clear();
    CHECK(daemon.look(2) == 2);
    daemon.hang = "sda1: stuck";
    CHECK(daemon.look(2) == 0);
    CHECK(daemon.errors.size() == 2);
}

TEST_CASE("a stopped watchdog leaves nothing to run") {
    watched daemon;
    daemon.dog.stop();
    daemon.main.run(); // hangs if a timer is left
    CHECK(daemon.probes == 0);
}

TEST_CASE("without a watching manager the watchdog does nothing") {
    watched daemon;
    daemon.dog.stop();
    scoped_variable const none("WATCHDOG_USEC", std::nullopt);
    service_notify notify;
    watchdog idle(
        daemon.main, notify, [](auto) { return std::string(); }, [&daemon] { ++daemon.probes; });
    idle.start();
    daemon.main.run();
    CHECK(daemon.probes == 0);
}
