#include "daemon/terminal/machine_view.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/printable.hpp"
#include "daemon/text/display_text.hpp"

namespace seedbed {

namespace {

constexpr std::size_t longest_filter = 60;
/// Lines for the selected machine: always the same number, so that the table above keeps its height.
constexpr std::size_t most_details = 3;
/// A screen of fewer lines has no details; one of fewer than half as many has no last line either.
constexpr std::size_t height_for_details = 12;
/// Before each row: whether it is selected.
constexpr std::string_view selected_mark = "> ";
constexpr std::string_view row_indent = "  ";

bool is_same_machine(board_row const& a, board_row const& b) {
    return a.name == b.name && a.mac == b.mac && a.address == b.address;
}

std::vector<std::string> cut(std::vector<std::string> lines, std::size_t most, std::size_t width) {
    if (lines.size() > most) {
        lines.resize(most);
        if (most > 0) {
            lines.back() = shorten(lines.back() + " ...", width);
        }
    }
    return lines;
}

} // namespace

void machine_view::show(shown_board shown) {
    auto const selected = m_selected < m_rows.size() ? std::optional(*m_rows[m_selected]) : std::nullopt;
    m_shown = std::move(shown);
    choose();
    if (!selected || m_selected == 0) { // at the top, the worst machine stays selected, whichever it is
        return;
    }
    auto const at = std::ranges::find_if(m_rows, [&](auto const* row) { return is_same_machine(*row, *selected); });
    if (at != m_rows.end()) {
        m_selected = static_cast<std::size_t>(at - m_rows.begin());
    }
}

void machine_view::choose() {
    m_rows = m_shown ? choose_rows(m_shown->board, m_filter, m_order, m_reverse) : std::vector<board_row const*>{};
    m_selected = std::min(m_selected, m_rows.empty() ? 0 : m_rows.size() - 1);
}

// --- keys

void machine_view::move(std::ptrdiff_t rows) {
    auto const last = static_cast<std::ptrdiff_t>(m_rows.size()) - 1;
    m_selected = static_cast<std::size_t>(
        std::max<std::ptrdiff_t>(std::min(static_cast<std::ptrdiff_t>(m_selected) + rows, last), 0));
}

bool machine_view::on_filter_key(pressed_key const& key) {
    using kind = pressed_key::kind;
    switch (key.what) {
    case kind::character:
        if (m_filter.size() < longest_filter) {
            m_filter += key.character;
        }
        break;
    case kind::backspace:
        if (m_filter.empty()) {
            m_typing = false;
        } else {
            m_filter.pop_back();
        }
        break;
    case kind::erase_line:
        m_filter.clear();
        break;
    case kind::escape:
        m_filter.clear();
        m_typing = false;
        break;
    case kind::enter:
        m_typing = false;
        break;
    default:
        return false;
    }
    m_selected = 0;
    choose();
    return true;
}

bool machine_view::on_command(char command) {
    auto const of_order = static_cast<std::size_t>(m_order);
    switch (command) {
    case '/':
        m_typing = true;
        return true;
    case 's':
        m_order = row_orders.at((of_order + 1) % row_orders.size());
        break;
    case 'r':
        m_reverse = !m_reverse;
        break;
    case 'j':
        move(1);
        return true;
    case 'k':
        move(-1);
        return true;
    case 'g':
        m_selected = 0;
        return true;
    case 'G':
        move(static_cast<std::ptrdiff_t>(m_rows.size()));
        return true;
    default:
        return false;
    }
    m_selected = 0;
    choose();
    return true;
}

bool machine_view::on_key(pressed_key const& key) {
    using kind = pressed_key::kind;
    if (m_typing && on_filter_key(key)) {
        return true;
    }
    auto const page = static_cast<std::ptrdiff_t>(m_page);
    switch (key.what) {
    case kind::character:
        return on_command(key.character);
    case kind::up:
        move(-1);
        return true;
    case kind::down:
        move(1);
        return true;
    case kind::page_up:
        move(-page);
        return true;
    case kind::page_down:
        move(page);
        return true;
    case kind::home:
        return on_command('g');
    case kind::end:
        return on_command('G');
    case kind::escape:
        m_filter.clear();
        choose();
        return true;
    default:
        return false;
    }
}

// --- the screen

std::string machine_view::first_line(std::string const& note, std::size_t width) const {
    auto const room_for_note = note.size() + 2;
    auto const room = width > room_for_note ? width - room_for_note : width;
    auto line = m_shown ? machine_summary(*m_shown, room) : shorten("waiting for the daemon", room);
    if (line.size() + room_for_note <= width) {
        line += std::string(width - line.size() - note.size(), ' ') + note;
    }
    return line;
}

std::string machine_view::last_line(std::size_t width) const {
    if (m_typing) {
        // The end of a long filter is shown, where the user types.
        constexpr std::string_view title = "filter: ";
        auto const room = width > title.size() + 1 ? width - title.size() - 1 : 1;
        auto const hidden = m_filter.size() > room ? m_filter.size() - room : 0;
        return (std::string(title) + m_filter.substr(hidden) + "_").substr(0, width);
    }
    std::vector<std::string> parts{fmt::format("{}-{} of {}", m_rows.empty() ? 0 : m_first + 1,
                                               std::min(m_first + m_page, m_rows.size()), m_rows.size())};
    if (!m_filter.empty()) {
        parts.push_back("filter: " + m_filter);
    }
    parts.push_back(to_string(m_order) + std::string(m_reverse ? ", reversed" : ""));
    for (auto const* const keys : {"q quit", "/ filter", "s sort", "i images", "r reverse", "arrows select"}) {
        parts.emplace_back(keys);
    }
    std::string line;
    for (auto const& part : parts) {
        if (!line.empty() && line.size() + 2 + part.size() > width) {
            break;
        }
        line += (line.empty() ? "" : "  ") + part;
    }
    return line.substr(0, width);
}

std::vector<styled_line> machine_view::errors(std::string const& trouble, std::size_t width, std::size_t most) const {
    std::vector<std::string> all;
    if (!trouble.empty()) {
        all = wrap(printable(trouble), width);
    }
    for (auto const& error : m_shown ? daemon_errors(*m_shown) : std::vector<std::string>{}) {
        std::ranges::move(wrap(error, width), std::back_inserter(all));
    }
    std::vector<styled_line> lines;
    for (auto& line : cut(std::move(all), most, width)) {
        lines.push_back({std::move(line), line_style::bad});
    }
    return lines;
}

std::vector<std::string> machine_view::details(std::size_t width, std::size_t most) const {
    if (m_selected >= m_rows.size()) {
        return {};
    }
    auto const& row = *m_rows[m_selected];
    auto text = row.name;
    for (auto const* const part : {&row.mac, &row.address, &row.image, &row.disk}) {
        text += part->empty() || *part == row.name ? "" : ", " + *part;
    }
    text += ": " + phase_text(row) + (row.reason.empty() ? "" : ": " + row.reason);
    return cut(wrap(printable(text), width), most, width);
}

void machine_view::add_rows(std::vector<styled_line>& lines, std::size_t count, std::size_t width) {
    m_page = std::max<std::size_t>(count, 1);
    // Scrolls no more than needed to show the selected row, and leaves no empty rows at the end.
    m_first = std::min(m_first, m_selected);
    m_first = std::max(m_first, m_selected + 1 - std::min(m_selected + 1, m_page));
    m_first = std::min(m_first, m_rows.size() - std::min(m_rows.size(), m_page));
    auto const begin = m_rows.begin() + static_cast<std::ptrdiff_t>(m_first);
    std::vector<board_row const*> const visible(
        begin, begin + static_cast<std::ptrdiff_t>(std::min(m_page, m_rows.size() - m_first)));
    auto const room = width > row_indent.size() ? width - row_indent.size() : 1;
    auto const texts = machine_rows(visible).lines(room);
    lines.push_back({(std::string(row_indent) + texts.front()).substr(0, width), line_style::heading});
    for (std::size_t i = 0; i < visible.size(); ++i) {
        auto const mark = m_first + i == m_selected ? selected_mark : row_indent;
        lines.push_back({(std::string(mark) + texts[i + 1]).substr(0, width), style_of(*visible[i])});
    }
}

std::vector<styled_line> machine_view::screen(std::string const& note, std::string const& trouble, std::size_t width,
                                              std::size_t height) {
    width = std::max<std::size_t>(width, 1);
    auto const wrong = errors(trouble, width, std::max<std::size_t>(height / 4, 1));
    auto about = height >= height_for_details ? details(width, most_details) : std::vector<std::string>{};
    about.resize(height >= height_for_details ? most_details : 0);
    std::size_t const keys = height >= height_for_details / 2 ? 1 : 0;
    auto const heads = 2 + wrong.size() + about.size() + keys;
    std::vector<styled_line> lines{{first_line(note, width)}};
    if (m_shown && !m_rows.empty()) {
        add_rows(lines, height > heads ? height - heads : 1, width);
    } else if (m_shown) {
        lines.push_back(
            {shorten(m_shown->board.rows.empty() ? "no machines yet" : "no match; Escape shows all", width)});
    }
    auto const bottom = wrong.size() + about.size() + keys;
    while (lines.size() + bottom < height) {
        lines.push_back({});
    }
    std::ranges::copy(wrong, std::back_inserter(lines));
    for (auto const& line : about) {
        lines.push_back({line});
    }
    if (keys > 0) {
        lines.push_back({last_line(width), line_style::heading});
    }
    lines.resize(std::min(lines.size(), height));
    return lines;
}

} // namespace seedbed
