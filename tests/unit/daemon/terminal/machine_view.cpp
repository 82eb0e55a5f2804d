#include "daemon/terminal/machine_view.hpp"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <catch2/catch.hpp>

#include "support/sample_board.hpp"

using namespace seedbed;
using namespace seedbed::test;
using Catch::Contains;
using Catch::StartsWith;
using kind = pressed_key::kind;
using screen_lines = std::vector<styled_line>;

namespace {

std::string text(screen_lines const& lines) {
    std::string joined;
    for (auto const& line : lines) {
        joined += line.text + "\n";
    }
    return joined;
}

void type(machine_view& view, std::string_view keys) {
    for (auto const c : keys) {
        CHECK(view.on_key({kind::character, c}));
    }
}

/// The line of the selected machine.
styled_line selected(machine_view& view, std::size_t height = 24) {
    auto const lines = view.screen("12:00:00", "", 80, height);
    auto const at = std::ranges::find_if(lines, [](auto const& line) { return line.text.starts_with("> "); });
    return at != lines.end() ? *at : styled_line{};
}

shown_board many(int count) {
    std::vector<board_row> rows;
    for (int i = 0; i < count; ++i) {
        rows.push_back(sample_row("PC-" + std::to_string(i), board_state::running, 0.5, 1e6));
    }
    return board_of(std::move(rows));
}

} // namespace

TEST_CASE("machine view: a screen of 80x24") {
    machine_view view;
    view.show(sample_board());
    auto const lines = view.screen("12:00:00", "", 80, 24);
    INFO(text(lines));
    REQUIRE(lines.size() == 24);
    CHECK(lines[0].text.size() == 80);
    CHECK_THAT(lines[0].text, StartsWith("6 machines: 1 failed, 1 refused, ") && Catch::EndsWith(" 12:00:00"));
    CHECK_THAT(lines[1].text, StartsWith("  NAME ") && Contains(" PHASE ") && Contains(" DONE ") &&
                                  Contains(" RATE ") && Contains(" LEFT ") && Contains(" DISK ") &&
                                  Contains(" CLASS ") && Contains(" ERROR"));
    CHECK(lines[1].style == line_style::heading);
    CHECK_THAT(lines[2].text, StartsWith("> PC-3 ") && Contains(" failed ") && Contains(" 37% "));
    CHECK(lines[2].style == line_style::bad);
    CHECK_THAT(lines[7].text, StartsWith("  PC-1 ") && Contains(" done "));
    CHECK(lines[7].style == line_style::good);
    CHECK(lines[20].text == "PC-3, 52:54:00:00:00:17, 192.0.2.17, win11, /dev/nvme0n1: failed: write");
    CHECK(lines[21].text == "  /dev/nvme0n1: offset 1048576, length 16384: Input/output error (EIO)");
    CHECK_THAT(lines[23].text, StartsWith("1-6 of 6  worst first  q quit  / filter "));
}

TEST_CASE("machine view: it fits every size, whatever is shown") {
    machine_view views[3];
    views[1].show(sample_board());
    auto crowded = many(300);
    crowded.complaint = std::string(500, 'x');
    crowded.failed_images.assign(20, {"data", "EIO"});
    views[2].show(crowded);
    type(views[2], "/" + std::string(60, 'C'));
    for (auto& view : views) {
        for (auto const& [width, height] : std::vector<std::pair<std::size_t, std::size_t>>{
                 {80, 24}, {60, 24}, {120, 50}, {40, 10}, {1, 1}, {3, 2}, {20, 3}, {300, 4}, {10, 6}, {60, 12}}) {
            auto const lines = view.screen("12:00:00", "lost the daemon", width, height);
            INFO(width << "x" << height << "\n" << text(lines));
            CHECK(lines.size() <= height);
            for (auto const& line : lines) {
                CHECK(line.text.size() <= width);
                CHECK(std::ranges::all_of(line.text, [](char c) { return c >= ' ' && c <= '~'; }));
            }
        }
    }
}

TEST_CASE("machine view: keys move the selection, and the table follows") {
    machine_view view;
    view.show(many(100));
    CHECK_THAT(selected(view).text, StartsWith("> PC-0 "));
    CHECK(view.on_key({kind::up})); // at the top
    CHECK_THAT(selected(view).text, StartsWith("> PC-0 "));
    CHECK(view.on_key({kind::down}));
    type(view, "jj");
    CHECK_THAT(selected(view).text, StartsWith("> PC-3 "));
    CHECK(view.on_key({kind::page_down}));
    CHECK_THAT(selected(view).text, StartsWith("> PC-21 ")); // 18 rows a page
    CHECK_THAT(text(view.screen("", "", 80, 24)), Contains("5-22 of 100"));
    CHECK(view.on_key({kind::end}));
    CHECK_THAT(selected(view).text, StartsWith("> PC-99 "));
    CHECK_THAT(text(view.screen("", "", 80, 24)), Contains("83-100 of 100"));
    CHECK(view.on_key({kind::down})); // at the bottom
    CHECK(view.on_key({kind::page_up}));
    CHECK_THAT(selected(view).text, StartsWith("> PC-81 "));
    CHECK(view.on_key({kind::home}));
    CHECK_THAT(selected(view).text, StartsWith("> PC-0 "));
    CHECK_FALSE(view.on_key({kind::character, 'q'}));
    CHECK_FALSE(view.on_key({kind::character, 'm'}));
    CHECK_FALSE(view.on_key({kind::tab}));
}

TEST_CASE("machine view: a terminal that becomes larger shows the rows above, too") {
    machine_view view;
    view.show(many(100));
    CHECK(view.on_key({kind::end}));
    CHECK_THAT(text(view.screen("", "", 80, 24)), Contains("83-100 of 100"));
    CHECK_THAT(text(view.screen("", "", 80, 60)), Contains("47-100 of 100"));
    CHECK_THAT(text(view.screen("", "", 80, 200)), Contains("1-100 of 100"));
}

TEST_CASE("machine view: typed text filters, and Escape shows all") {
    machine_view view;
    view.show(sample_board());
    type(view, "/q"); // no longer the key that quits
    CHECK(view.is_typing());
    CHECK_THAT(text(view.screen("", "", 80, 24)), Contains("no match; Escape shows all") && Contains("filter: q_"));
    CHECK(view.on_key({kind::backspace}));
    type(view, "PC-1");
    CHECK_THAT(selected(view).text, StartsWith("> PC-10 "));
    CHECK_THAT(text(view.screen("", "", 80, 24)), !Contains("PC-3 "));
    CHECK(view.on_key({kind::down})); // also while typing
    CHECK_THAT(selected(view).text, StartsWith("> PC-1 "));
    CHECK(view.on_key({kind::enter}));
    CHECK_FALSE(view.is_typing());
    CHECK_THAT(text(view.screen("", "", 80, 24)), Contains("1-2 of 2  filter: PC-1  worst first  q quit"));
    CHECK(view.on_key({kind::escape}));
    CHECK_THAT(text(view.screen("", "", 80, 24)), Contains("1-6 of 6  worst first"));
    type(view, "/xy");
    CHECK(view.on_key({kind::erase_line}));
    CHECK_THAT(text(view.screen("", "", 80, 24)), Contains("filter: _"));
    CHECK(view.on_key({kind::backspace}));
    CHECK_FALSE(view.is_typing());
    type(view, "/" + std::string(1000, 'x'));
    CHECK_THAT(text(view.screen("", "", 200, 24)), Contains("filter: " + std::string(60, 'x') + "_"));
}

TEST_CASE("machine view: s sorts, r reverses, and the last line says so") {
    machine_view view;
    view.show(sample_board());
    type(view, "s");
    CHECK_THAT(selected(view).text, StartsWith("> PC-1 "));
    CHECK_THAT(text(view.screen("", "", 80, 24)), Contains("1-6 of 6  by name  q quit"));
    type(view, "r");
    CHECK_THAT(selected(view).text, StartsWith("> PC-10 "));
    CHECK_THAT(text(view.screen("", "", 80, 24)), Contains("by name, reversed"));
    type(view, "rssss");
    CHECK_THAT(selected(view).text, StartsWith("> PC-3 "));
}

TEST_CASE("machine view: the selected machine stays selected, except at the top") {
    machine_view view;
    view.show(sample_board());
    type(view, "j");
    auto later = sample_board();
    std::rotate(later.board.rows.begin(), later.board.rows.begin() + 1, later.board.rows.end()); // PC-3 is last now
    view.show(later);
    CHECK_THAT(selected(view).text, StartsWith("> PC-4 "));
    view.show(sample_board());
    CHECK_THAT(selected(view).text, StartsWith("> PC-3 ")); // the worst one
    type(view, "jj");
    view.show(later);
    CHECK_THAT(selected(view).text, StartsWith("> PC-10 "));
    view.show(board_of({sample_row("PC-1", board_state::done, 1)})); // PC-10 is gone
    CHECK_THAT(selected(view).text, StartsWith("> PC-1 "));
}

TEST_CASE("machine view: trouble is shown, also before the first answer") {
    machine_view view;
    CHECK_FALSE(view.has_machines());
    CHECK_THAT(text(view.screen("12:00:00", "no daemon \x1b", 80, 24)),
               StartsWith("waiting for the daemon") && Contains("\nno daemon ?\n"));
    view.show(sample_board());
    CHECK_THAT(text(view.screen("12:00:00", "showing the status of 11:59:00", 80, 24)),
               Contains("PC-3 ") && Contains("\nshowing the status of 11:59:00\n"));
    view.show(board_of({}));
    CHECK_THAT(text(view.screen("12:00:00", "", 80, 24)), Contains("no machines yet"));
}
