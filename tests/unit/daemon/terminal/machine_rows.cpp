#include "daemon/terminal/machine_rows.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "support/sample_board.hpp"

using namespace seedbed;
using namespace seedbed::test;
using Catch::Contains;
using lines = std::vector<std::string>;

namespace {

std::string names(machine_board const& board, std::string_view filter, row_order order = row_order::worst,
                  bool reverse = false) {
    std::string all;
    for (auto const* row : choose_rows(board, filter, order, reverse)) {
        all += row->name + " ";
    }
    return all;
}

} // namespace

TEST_CASE("machine rows: each order, and reversed") {
    auto const board = sample_board().board;
    CHECK(names(board, "") == "PC-3 PC-4 PC-10 PC-9 PC-2 PC-1 ");
    CHECK(names(board, "", row_order::name) == "PC-1 PC-2 PC-3 PC-4 PC-9 PC-10 ");
    CHECK(names(board, "", row_order::progress) == "PC-4 PC-10 PC-3 PC-9 PC-1 PC-2 ");
    CHECK(names(board, "", row_order::rate) == "PC-10 PC-9 PC-3 PC-4 PC-2 PC-1 ");
    CHECK(names(board, "", row_order::left) == "PC-10 PC-9 PC-3 PC-4 PC-2 PC-1 ");
    CHECK(names(board, "", row_order::worst, true) == "PC-1 PC-2 PC-9 PC-10 PC-4 PC-3 ");
}

TEST_CASE("machine rows: names are ordered by their numbers and regardless of case") {
    machine_board board;
    for (auto const* name : {"b", "A10", "a9", "a09b", "10.0.0.10", "10.0.0.9", "", "a", "99999999999999999999999"}) {
        board.rows.push_back(sample_row(name, board_state::done));
    }
    CHECK(names(board, "", row_order::name) == " 10.0.0.9 10.0.0.10 99999999999999999999999 a a9 a09b A10 b ");
}

TEST_CASE("machine rows: a filter finds each word in any text, in either case") {
    auto const board = sample_board().board;
    CHECK(names(board, "pc-1") == "PC-10 PC-1 ");
    CHECK(names(board, "NVME") == "PC-3 PC-9 PC-1 ");
    CHECK(names(board, "hdd") == "PC-10 ");
    CHECK(names(board, "refused") == "PC-4 ");
    CHECK(names(board, "too small") == "PC-4 ");
    CHECK(names(board, " small  EIO ").empty());
    CHECK(names(board, "52:54 downloading") == "PC-10 PC-9 ");
    CHECK(names(board, "  ") == names(board, ""));
}

TEST_CASE("machine rows: a table at different widths") {
    auto const shown = sample_board();
    CHECK(machine_table(shown, 80) ==
          lines{"6 machines: 1 failed, 1 refused, 2 running, 1 waiting, 1 done; 485 MiB/s",
                "NAME  PHASE       DONE      RATE   LEFT DISK         CLASS ERROR",
                "PC-3  failed       37%         -      - /dev/nvme0n1 NVMe  write /dev..ror (EIO)",
                "PC-4  refused       0%         -      - /dev/sda     SSD   /dev/sda: ..ds 32 MiB",
                "PC-10 downloading  25% 8.6 MiB/s 13m53s /dev/sda     HDD",
                "PC-9  downloading  50% 477 MiB/s    10s /dev/nvme0n1 NVMe",
                "PC-2  waiting        -         -      - auto         -",
                "PC-1  done        100%         -      - /dev/nvme0n1 NVMe"});
    CHECK(machine_table(shown, 60) ==
          lines{"6 machines: 1 failed, 1 refused, 2 running, 1 waiting",
                "NAME  PHASE       DONE      RATE   LEFT CLASS ERROR",
                "PC-3  failed       37%         -      - NVMe  write .. (EIO)",
                "PC-4  refused       0%         -      - SSD   /dev/s..32 MiB",
                "PC-10 downloading  25% 8.6 MiB/s 13m53s HDD", "PC-9  downloading  50% 477 MiB/s    10s NVMe",
                "PC-2  waiting        -         -      - -", "PC-1  done        100%         -      - NVMe"});
    auto const whole = machine_table(shown, 0);
    CHECK_THAT(whole[0], Contains("; 485 MiB/s; 13m53s left; Seedbed 0.1.0"));
    CHECK(machine_summary(shown, 30) == "6 machines: 1 failed");
    CHECK(machine_summary(shown, 5) == "6 ..s");
    CHECK_THAT(whole[2], Contains(" 52:54:00:00:00:17 ") && Contains(" /dev/nvme0n1 ") &&
                             Contains("offset 1048576, length 16384: Input/output error (EIO)"));
}

TEST_CASE("machine rows: whatever a machine says is printable and limited") {
    auto row = sample_row("\x1b[2J" + std::string(5000, 'x'), board_state::running, 0.5, 1e6);
    row.mac = "\x9b\n";
    row.phase = "\r\n<b>" + std::string(5000, 'y');
    row.disk = "\x07";
    row.reason = "\x1b]0;title\x07";
    auto shown = board_of({row});
    shown.version = "\x1b";
    shown.complaint = "\x1b";
    shown.failed_images = {{"\n", "\x1b"}};
    for (auto const width : {0U, 20U, 60U, 80U, 200U}) {
        for (auto const& line : machine_table(shown, width)) {
            INFO(line);
            CHECK(std::ranges::all_of(line, [](char c) { return c >= ' ' && c <= '~'; }));
            CHECK(line.size() <= (width > 0 ? width : 400));
        }
    }
}

TEST_CASE("machine rows: the phase says what the colour says") {
    CHECK(phase_text(sample_row("a", board_state::failed)) == "failed");
    auto row = sample_row("a", board_state::refused);
    row.phase = "write"; // in which it was
    CHECK(phase_text(row) == "refused");
    CHECK(style_of(row) == line_style::warning);
    CHECK(style_of(sample_row("a", board_state::failed)) == line_style::bad);
    CHECK(style_of(sample_row("a", board_state::done)) == line_style::good);
    CHECK(style_of(sample_row("a", board_state::running, 0.5, 1e6)) == line_style::plain);
    CHECK(style_of(sample_row("a", board_state::running, 0.5, 0)) == line_style::warning);
}
