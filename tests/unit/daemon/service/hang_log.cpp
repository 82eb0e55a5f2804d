#include "daemon/service/hang_log.hpp"

#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/log/logging.hpp"

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

/// Two devices, looked at once a second.
struct looked_at {
    hang_log::clock::time_point const start = hang_log::clock::now();
    hang_log hangs;
    std::vector<std::string> lines;

    looked_at() {
        start_logging(log_level::info, [this](log_level, std::string_view line) { lines.emplace_back(line); });
    }
    ~looked_at() { start_logging(log_level::info); }
    looked_at(looked_at const&) = delete;
    looked_at& operator=(looked_at const&) = delete;

    /// At second \p now, with seconds since which the devices stall. \return the new lines.
    std::vector<std::string> look(int now, int first_stalled, int second_stalled) {
        lines.clear();
        hangs.look({{"a", "/dev/a", start + std::chrono::seconds(first_stalled)},
                    {"b", "/dev/b", start + std::chrono::seconds(second_stalled)}},
                   start + std::chrono::seconds(now));
        return lines;
    }
};

} // namespace

TEST_CASE("a device that begins to hang is logged once, and once when it answers again") {
    looked_at daemon;
    CHECK(daemon.look(30, 0, 30).empty()); // as long as a disk retries
    auto const began = daemon.look(31, 0, 31);
    REQUIRE(began.size() == 1);
    CHECK_THAT(began[0], Catch::Matchers::Matches("a: /dev/a hangs: no operation has completed since "
                                                  "[0-9]{2}:[0-9]{2}:[0-9]{2} \\(31s\\); waiting"));
    CHECK(daemon.hangs.any());
    CHECK(daemon.look(32, 0, 32).empty());
    CHECK(daemon.look(90, 0, 90).empty());
    CHECK(daemon.look(91, 91, 91) == std::vector<std::string>{"a: /dev/a answers again after 1m31s"});
    CHECK_FALSE(daemon.hangs.any());
    CHECK(daemon.look(92, 92, 92).empty());
}

TEST_CASE("each hanging device has its own lines") {
    looked_at daemon;
    CHECK(daemon.look(40, 0, 5).size() == 2);
    CHECK(daemon.look(50, 50, 5) == std::vector<std::string>{"a: /dev/a answers again after 50s"});
    CHECK(daemon.hangs.any());
    CHECK(daemon.look(81, 50, 5).size() == 1); // hangs again
    CHECK(daemon.look(82, 50, 82) == std::vector<std::string>{"b: /dev/b answers again after 1m17s"});
}

TEST_CASE("a hanging device that is closed is forgotten") {
    looked_at daemon;
    CHECK(daemon.look(31, 0, 31).size() == 1);
    daemon.lines.clear();
    daemon.hangs.look({}, daemon.start + 32s);
    CHECK(daemon.lines.empty());
    CHECK_FALSE(daemon.hangs.any());
}
