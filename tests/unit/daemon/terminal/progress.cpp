#include "daemon/terminal/progress.hpp"

#include <cstddef>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

using namespace seedbed;
using namespace std::chrono_literals;

namespace {

constexpr std::int64_t mib = 1 << 20;
constexpr std::int64_t gib = 1 << 30;

/// A terminal of any width, and a clock that the test sets.
struct fake_terminal {
    int columns = 80;
    std::string written;
    progress_output::clock::time_point time{1h};

    [[nodiscard]] progress_output output() {
        return {[this] { return columns; }, [this](std::string_view text) { written += text; },
                [this] { return time; }};
    }
    /// The line on the terminal since the last call, without the escape sequence that erases the previous one.
    [[nodiscard]] std::string take() {
        auto const last = written.rfind("\r\x1b[K");
        auto const shown = last == std::string::npos ? written : written.substr(last + 4);
        written.clear();
        return shown;
    }
};

std::string repeated(std::size_t count, char c) {
    return std::string(count, c);
}

} // namespace

TEST_CASE("progress: a line fills the terminal") {
    fake_terminal terminal;
    progress_display progress(terminal.output());
    progress.begin("downloading");
    progress.update(0, 4 * gib, "12 peers");
    terminal.time += 1s;
    progress.update(gib / 2, 4 * gib, "12 peers");
    auto const line = terminal.take();
    CHECK(line == "downloading  12% [==>             ] 0.5/4.0 GiB  512 MiB/s    7s left  12 peers");
    CHECK(line.size() <= 79);
}

TEST_CASE("progress: parts that do not fit are dropped") {
    fake_terminal terminal;
    progress_display progress(terminal.output());
    progress.begin("hashing");
    progress.update(0, 100 * mib, "2 cores");
    auto const at = [&](int columns) {
        terminal.columns = columns;
        terminal.time += 100ms;
        progress.update(50 * mib, 100 * mib, "2 cores");
        auto const line = terminal.take();
        CHECK(static_cast<int>(line.size()) < columns);
        return line;
    };
    terminal.time += 900ms;
    CHECK(at(200) == "hashing  50% [" + repeated(20, '=') + ">" + repeated(19, ' ') +
                         "]  50.0/100.0 MiB   50 MiB/s    1s left  2 cores");
    CHECK_THAT(at(62), !Catch::Contains("100.0 MiB") && Catch::Contains("2 cores") && Catch::Contains("["));
    CHECK_THAT(at(50), !Catch::Contains("2 cores") && Catch::Contains("["));
    CHECK_THAT(at(40), !Catch::Contains("[") && Catch::Contains(" left"));
    CHECK_THAT(at(30), !Catch::Contains(" left") && Catch::Contains("MiB/s"));
    CHECK(at(20) == "hashing  50%");
    CHECK(at(8) == "hashing");
    CHECK(at(5) == "hash");
    CHECK(at(1).empty());
}

TEST_CASE("progress: a terminal is redrawn ten times a second, and cleaned up") {
    fake_terminal terminal;
    {
        progress_display progress(terminal.output());
        progress.begin("hashing");
        progress.update(0, 10 * mib);
        CHECK_THAT(terminal.take(), Catch::StartsWith("hashing   0%"));
        for (int i = 1; i <= 99; ++i) {
            terminal.time += 1ms;
            progress.update(i, 10 * mib);
        }
        CHECK(terminal.written.empty());
        terminal.time += 1ms;
        progress.update(mib, 10 * mib);
        CHECK(terminal.written.starts_with("\r\x1b[Khashing  10%"));

        terminal.written.clear();
        progress.print("a peer joined");
        CHECK(terminal.written.starts_with("\r\x1b[Ka peer joined\n\r\x1b[Khashing  10%"));

        terminal.written.clear();
        progress.finish("hashed");
        CHECK(terminal.written == "\r\x1b[Khashed\n");
        terminal.written.clear();
        terminal.time += 1s;
        progress.update(mib, 10 * mib);
        CHECK(terminal.written.empty());
        progress.begin("flushing");
        progress.update(0, 0);
        terminal.written.clear();
    }
    CHECK(terminal.written == "\r\x1b[K");
}

TEST_CASE("progress: without a terminal, a line is printed every few seconds") {
    fake_terminal terminal;
    terminal.columns = 0;
    progress_display progress(terminal.output());
    progress.begin("downloading");
    progress.update(0, 4 * gib, "1 peer");
    for (int i = 0; i < 12; ++i) {
        terminal.time += 1s;
        progress.update((i + 1) * gib / 4, 4 * gib, "12 peers");
    }
    CHECK(terminal.written == "downloading: 31%, 1.2/4.0 GiB, 256 MiB/s, 11s left, 12 peers\n"
                              "downloading: 62%, 2.5/4.0 GiB, 256 MiB/s, 6s left, 12 peers\n");
    terminal.written.clear();
    progress.print("a peer left");
    progress.finish(progress.summary("downloaded"));
    CHECK(terminal.written == "a peer left\ndownloaded 3 GiB in 12s (256 MiB/s)\n");
}

TEST_CASE("progress: the rate is an average over the last seconds") {
    fake_terminal terminal;
    progress_display progress(terminal.output());
    progress.begin("downloading");
    // The bytes done before do not count.
    std::int64_t done = 500 * mib;
    auto const rate_after = [&](int seconds, std::int64_t each) {
        for (int i = 0; i < 10 * seconds; ++i) {
            terminal.time += 100ms;
            done += each / 10;
            progress.update(done, gib);
        }
        auto const line = terminal.take();
        auto const rate = line.substr(line.find("iB ") + 3);
        auto const scale = rate.find(" MiB/s") < 12 ? 1.0 : rate.find(" KiB/s") < 12 ? 1.0 / 1024 : 1.0 / mib;
        return std::stod(rate) * scale; // MiB a second
    };
    progress.update(done, gib);
    CHECK(rate_after(1, 10 * mib) == Approx(10).margin(0.1));
    CHECK(rate_after(1, 0) == Approx(5).margin(0.6));
    CHECK(rate_after(30, 2 * mib) == Approx(2).margin(0.2));
    CHECK(rate_after(60, 0) < 0.001);
    progress.update(done, gib);
    terminal.time += 100ms;
    progress.update(done, gib);
    CHECK_THAT(terminal.take(), Catch::Contains(" - left"));
    // Bytes have to be downloaded again: the rate does not become negative.
    terminal.time += 100ms;
    progress.update(0, gib);
    CHECK_THAT(terminal.take(), Catch::Contains(" 0% ") && Catch::Contains(" 12 B/s"));
}

TEST_CASE("progress: a phase without a total has no bar") {
    fake_terminal terminal;
    progress_display progress(terminal.output());
    progress.begin("seeding");
    progress.update(3 * mib, 0, "7 peers");
    CHECK(terminal.take() == "seeding 3 MiB      0 B/s  7 peers");
}

TEST_CASE("progress: 100% means every byte") {
    fake_terminal terminal;
    progress_display progress(terminal.output());
    progress.begin("hashing");
    progress.update(10000 * gib - 1, 10000 * gib);
    CHECK_THAT(terminal.take(), Catch::Contains(" 99% ") && Catch::Contains(">]"));
    terminal.time += 1s;
    progress.update(10000 * gib, 10000 * gib);
    CHECK_THAT(terminal.take(), Catch::Contains("100% ") && Catch::Contains("=]") && Catch::Contains(" 0s left"));
}

TEST_CASE("progress: a text cannot drive the terminal") {
    fake_terminal terminal;
    progress_display progress(terminal.output());
    progress.begin("se\x1b]eding");
    progress.update(0, 0, "\x1b[2J\n\xc3\xa4");
    CHECK_THAT(terminal.take(), Catch::StartsWith("se?]eding ") && Catch::EndsWith(" ?[2J???"));
}

TEST_CASE("progress: bytes of a total have a constant width") {
    CHECK(format_progress_bytes(gib, 12 * gib + 700 * mib) == " 1.0/12.7 GiB");
    CHECK(format_progress_bytes(12 * gib, 12 * gib + 700 * mib) == "12.0/12.7 GiB");
    CHECK(format_progress_bytes(5, 1000) == "   5/1000 B");
    CHECK(format_progress_bytes(512, 1024) == "0.5/1.0 KiB");
    CHECK(format_progress_bytes(3 * mib, 0) == "3 MiB");
}
