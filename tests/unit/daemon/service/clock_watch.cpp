#include "daemon/service/clock_watch.hpp"

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <catch2/catch.hpp>

#include "daemon/log/logging.hpp"

using namespace seedbed;
using namespace std::chrono_literals;

TEST_CASE("a step of the system clock is described, a correction is not") {
    CHECK(clock_step_message(-120s) == "the system clock was set back by 2m00s; transfers and timers are not affected");
    CHECK(clock_step_message(3600s) ==
          "the system clock was set forward by 1h00m; transfers and timers are not affected");
    CHECK(clock_step_message(-999ms).empty());
    CHECK(clock_step_message(0s).empty());
}

TEST_CASE("a step of the system clock is logged once, a correction not at all") {
    std::vector<std::string> lines;
    start_logging(log_level::info, [&lines](log_level, std::string_view line) { lines.emplace_back(line); });
    boost::asio::io_context main{1};
    auto shift = 0s;
    clock_watch watch(main, [&shift] { return wall_clock_now() + shift; });
    watch.start();
    // Sets the clock to the time that it has: the kernel reports that as a step.
    auto const set_clock = [&main] {
        ::timespec now{};
        auto const permitted = ::clock_gettime(CLOCK_REALTIME, &now) == 0 && ::clock_settime(CLOCK_REALTIME, &now) == 0;
        if (permitted) {
            CHECK(main.run_one_for(10s) == 1);
            main.restart();
        }
        return permitted;
    };
    if (set_clock()) {
        CHECK(lines.empty());
        shift = -120s;
        CHECK(set_clock());
        CHECK(lines == std::vector<std::string>{
                           "the system clock was set back by 2m00s; transfers and timers are not affected"});
        CHECK(set_clock());
        CHECK(lines.size() == 1);
    } else {
        WARN("may not set the clock");
    }
    watch.stop();
    main.restart();
    main.run(); // hangs if anything is left
    start_logging(log_level::info);
}
