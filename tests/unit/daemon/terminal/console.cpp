#include "daemon/terminal/console.hpp"

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/log/logging.hpp"

using namespace seedbed;

namespace {

/// Collects the output to a terminal of \p width columns; with 0 columns it is not a terminal.
struct screen {
    std::string text;
    int columns;
    progress_output::clock::time_point now{};

    explicit screen(int width)
        : columns(width) {}
    progress_output output() {
        return {[this] { return columns; }, [this](std::string_view more) { text += more; },
                [this] { return now += std::chrono::milliseconds(200); }};
    }
};

} // namespace

TEST_CASE("console: log lines appear above the progress, warnings and errors with their level") {
    screen shown(80);
    console on(shown.output());
    on.start_log(log_level::info);
    image_status status;
    status.state = image_state::downloading;
    status.total_bytes = 1000;
    status.bytes_left = 500;
    status.peers = 2;
    on.show(status);
    CHECK_THAT(shown.text, Catch::Contains("downloading  50%") && Catch::EndsWith("2 peers"));
    shown.text.clear();
    log_warning({"sda1", {}, {}}, "slow\x1b[2J");
    log_error({}, "bad");
    log_info({}, "hello");
    log_debug({}, "not asked for");
    // Each removes the progress, writes its line, and redraws the progress.
    CHECK_THAT(shown.text, Catch::StartsWith("\r\x1b[Kwarning: sda1: slow?[2J\n\r\x1b[Kdownloading"));
    CHECK_THAT(shown.text, Catch::Contains("\r\x1b[Kerror: bad\n\r\x1b[Kdownloading"));
    CHECK_THAT(shown.text, Catch::Contains("\r\x1b[Khello\n\r\x1b[Kdownloading"));
    CHECK_THAT(shown.text, !Catch::Contains("not asked for"));
    CHECK(on.errors() == std::vector<std::string>{"bad"});
}

TEST_CASE("console: without a terminal there are only lines") {
    screen shown(0);
    console on(shown.output());
    image_status status;
    status.state = image_state::checking;
    status.total_bytes = 1000;
    status.fraction = 0.25;
    for (int i = 0; i < 30; ++i) {
        on.show(status);
    }
    status.state = image_state::seeding;
    on.show(status);
    CHECK_THAT(shown.text, Catch::StartsWith("checking: 25%, "));
    CHECK(shown.text.find('\r') == std::string::npos);
    on.print_error("seedbed deploy: no");
    CHECK_THAT(shown.text, Catch::EndsWith("\nseedbed deploy: no\n"));
    CHECK(on.errors() == std::vector<std::string>{"seedbed deploy: no"});
}
