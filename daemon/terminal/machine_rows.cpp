#include "daemon/terminal/machine_rows.hpp"

#include <algorithm>
#include <cctype>
#include <functional>
#include <optional>
#include <string>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"
#include "daemon/text/display_text.hpp"
#include "daemon/text/quantity_text.hpp"

namespace seedbed {

namespace {

using row_list = std::vector<board_row const*>;

/// The longest name, path or address that is shown; a hostile machine may send more.
constexpr std::size_t longest_cell = 64;

char lower(char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
}

std::string lower_case(std::string_view text) {
    std::string lowered(text);
    std::ranges::transform(lowered, lowered.begin(), lower);
    return lowered;
}

std::vector<std::string> words_of(std::string_view text) {
    std::vector<std::string> words;
    while (!text.empty()) {
        auto const end = std::min(text.find(' '), text.size());
        if (end > 0) {
            words.push_back(lower_case(text.substr(0, end)));
        }
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return words;
}

std::string class_text(board_row const& row) {
    if (!row.disk_class) {
        return "-";
    }
    return *row.disk_class == storage_class::sata_ssd ? "SSD" : display_name(*row.disk_class);
}

/// \param word in lower case.
bool contains(std::string_view text, std::string const& word) {
    return std::search(text.begin(), text.end(), word.begin(), word.end(),
                       [](char a, char b) { return lower(a) == b; }) != text.end();
}

bool has_word(board_row const& row, std::string const& word) {
    return contains(row.name, word) || contains(row.mac, word) || contains(row.address, word) ||
           contains(row.image, word) || contains(to_string(row.state), word) || contains(row.phase, word) ||
           contains(row.disk, word) || contains(row.reason, word) ||
           (row.disk_class && contains(display_name(*row.disk_class), word));
}

std::string_view without_zeros(std::string_view digits) {
    return digits.substr(std::min(digits.find_first_not_of('0'), digits.size()));
}

/// Digits as numbers: "PC-9" before "PC-10".
bool is_before(std::string_view a, std::string_view b) {
    auto const digits = [](std::string_view text) {
        return std::min(text.find_first_not_of("0123456789"), text.size());
    };
    while (!a.empty() && !b.empty()) {
        auto const of_a = digits(a);
        auto const of_b = digits(b);
        if (of_a == 0 || of_b == 0) {
            if (lower(a.front()) != lower(b.front())) {
                return lower(a.front()) < lower(b.front());
            }
            a.remove_prefix(1);
            b.remove_prefix(1);
            continue;
        }
        auto const one = without_zeros(a.substr(0, of_a));
        auto const other = without_zeros(b.substr(0, of_b));
        if (one != other) {
            return one.size() != other.size() ? one.size() < other.size() : one < other;
        }
        a.remove_prefix(of_a);
        b.remove_prefix(of_b);
    }
    return a.empty() && !b.empty();
}

/// Sorts by a value of each row, if it has one; rows without a value come last.
template <class Value, class Less>
void sort_by(row_list& rows, Value const& value, Less const& less) {
    std::ranges::stable_sort(rows, [&](board_row const* a, board_row const* b) {
        auto const of_a = value(*a);
        auto const of_b = value(*b);
        return of_a && of_b ? less(*of_a, *of_b) : of_a.has_value() && !of_b.has_value();
    });
}

void sort_rows(row_list& rows, row_order order) {
    switch (order) {
    case row_order::worst:
        break;
    case row_order::name:
        std::ranges::stable_sort(rows, [](auto const* a, auto const* b) { return is_before(a->name, b->name); });
        break;
    case row_order::progress:
        sort_by(
            rows, [](board_row const& row) { return row.fraction; }, std::less{});
        break;
    case row_order::rate:
        sort_by(
            rows, [](board_row const& row) { return row.is_downloading ? std::optional(row.rate) : std::nullopt; },
            std::less{});
        break;
    case row_order::left:
        sort_by(
            rows, [](board_row const& row) { return row.left_seconds; }, std::greater{});
        break;
    }
}

std::string cell(std::string_view text) {
    return text.empty() ? "-" : printable(text.substr(0, longest_cell));
}

std::string rate_text(board_row const& row) {
    return row.is_downloading || row.rate >= 1 ? format_rate(static_cast<std::int64_t>(row.rate)) : "-";
}

} // namespace

char const* to_string(row_order order) noexcept {
    switch (order) {
    case row_order::worst:
        return "worst first";
    case row_order::name:
        return "by name";
    case row_order::progress:
        return "least progress first";
    case row_order::rate:
        return "slowest first";
    case row_order::left:
        break;
    }
    return "longest first";
}

row_list choose_rows(machine_board const& board, std::string_view filter, row_order order, bool reverse) {
    auto const words = words_of(filter);
    row_list rows;
    rows.reserve(board.rows.size());
    for (auto const& row : board.rows) {
        if (std::ranges::all_of(words, [&row](auto const& word) { return has_word(row, word); })) {
            rows.push_back(&row);
        }
    }
    sort_rows(rows, order);
    if (reverse) {
        std::ranges::reverse(rows);
    }
    return rows;
}

std::string phase_text(board_row const& row) {
    auto const is_failure = row.state == board_state::failed || row.state == board_state::refused;
    return is_failure || row.phase.empty() ? to_string(row.state) : printable(row.phase.substr(0, longest_cell));
}

line_style style_of(board_row const& row) {
    switch (row.state) {
    case board_state::failed:
        return line_style::bad;
    case board_state::refused:
    case board_state::stopped:
        return line_style::warning;
    case board_state::running:
        return row.is_downloading && row.rate < 1 ? line_style::warning : line_style::plain;
    case board_state::done:
        return line_style::good;
    default:
        return line_style::plain;
    }
}

text_table machine_rows(row_list const& rows) {
    text_table table({{.title = "NAME", .least = 10},
                      {.title = "MAC", .rank = 6},
                      {.title = "PHASE", .least = 10},
                      {.title = "DONE", .rank = 1, .right = true},
                      {.title = "RATE", .rank = 2, .right = true},
                      {.title = "LEFT", .rank = 3, .right = true},
                      {.title = "DISK", .rank = 5, .least = 8},
                      {.title = "CLASS", .rank = 4},
                      {.title = "ERROR", .least = 12}});
    for (auto const* const row : rows) {
        table.add_row({cell(row->name), cell(row->mac), phase_text(*row),
                       row->fraction ? format_percent(*row->fraction) : "-", rate_text(*row),
                       row->left_seconds ? format_duration(static_cast<double>(*row->left_seconds)) : "-",
                       cell(row->disk), class_text(*row), printable(row->reason)});
    }
    return table;
}

std::string machine_summary(shown_board const& shown, std::size_t width) {
    auto const& board = shown.board;
    std::vector<std::string> parts{format_count(shown.machines, "machine")};
    auto const* separator = ": ";
    for (auto const state : board_states) {
        if (auto const count = board.count(state); count > 0) {
            parts.push_back(fmt::format("{}{} {}", std::exchange(separator, ", "), count, to_string(state)));
        }
    }
    if (shown.stopping) {
        parts.emplace_back("; the daemon is stopping");
    }
    if (board.rate >= 1) {
        parts.push_back("; " + format_rate(static_cast<std::int64_t>(board.rate)));
    }
    if (board.left_seconds) {
        parts.push_back(fmt::format("; {} left", format_duration(static_cast<double>(*board.left_seconds))));
    }
    if (shown.unlisted > 0) {
        parts.push_back(fmt::format("; {} not listed", shown.unlisted));
    }
    parts.push_back("; Seedbed " + printable(shown.version));
    std::string text;
    for (auto const& part : parts) {
        if (width > 0 && text.size() + part.size() > width) {
            return text.empty() ? shorten(part, width) : text;
        }
        text += part;
    }
    return text;
}

std::vector<std::string> daemon_errors(shown_board const& shown) {
    std::vector<std::string> lines;
    if (!shown.complaint.empty()) {
        lines.push_back("hangs: " + printable(shown.complaint));
    }
    for (auto const& [name, failure] : shown.failed_images) {
        lines.push_back(printable(fmt::format("image {}: failed: {}", name, failure)));
    }
    return lines;
}

std::vector<std::string> machine_table(shown_board const& shown, std::size_t width) {
    std::vector<std::string> lines{machine_summary(shown, width)};
    if (!shown.board.rows.empty()) {
        auto const rows = machine_rows(choose_rows(shown.board, {}, row_order::worst, false)).lines(width);
        lines.insert(lines.end(), rows.begin(), rows.end());
    }
    for (auto const& error : daemon_errors(shown)) {
        auto const wrapped = wrap(error, width);
        lines.insert(lines.end(), wrapped.begin(), wrapped.end());
    }
    return lines;
}

} // namespace seedbed
