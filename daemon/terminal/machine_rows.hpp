#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "daemon/status/board_document.hpp"
#include "daemon/terminal/styled_line.hpp"
#include "daemon/terminal/text_table.hpp"

namespace seedbed {

// The rows of `seedbed status --machines`: selected, sorted and formatted as printable ASCII. Pure.

/// The order of rows. Rows without a value come last.
enum class row_order : std::uint8_t {
    worst,    ///< as the daemon sends them
    name,     ///< "PC-9" before "PC-10"
    progress, ///< the least first
    rate,     ///< the slowest first
    left      ///< the longest time first
};
inline constexpr std::array row_orders{row_order::worst, row_order::name, row_order::progress, row_order::rate,
                                       row_order::left};
/// For example "worst first".
[[nodiscard]] char const* to_string(row_order order) noexcept;

/// The rows that contain each word of \p filter, in any of their texts, regardless of case. \param reverse the last row
/// first. \return pointers to the rows of \p board.
[[nodiscard]] std::vector<board_row const*> choose_rows(machine_board const& board, std::string_view filter,
                                                        row_order order, bool reverse);

/// What the machine is doing: its state, or its phase while it is running.
[[nodiscard]] std::string phase_text(board_row const& row);
[[nodiscard]] line_style style_of(board_row const& row);

/// A line for each row, under titles: name, MAC address, phase, progress, rate, time left, disk, class and error.
[[nodiscard]] text_table machine_rows(std::vector<board_row const*> const& rows);

/// "40 machines: 1 failed, 38 running, 1 done; 1.2 GiB/s; 3m20s left; Seedbed 0.1.0"; as much as fits into \p width.
/// \param width 0: no limit.
[[nodiscard]] std::string machine_summary(shown_board const& shown, std::size_t width);

/// What is wrong with the daemon and its images, one line each, however long.
[[nodiscard]] std::vector<std::string> daemon_errors(shown_board const& shown);

/// The output of `seedbed status --machines`: a summary, a row for each machine, and the errors. \param width maximum
/// length of a line, or 0 for no limit.
[[nodiscard]] std::vector<std::string> machine_table(shown_board const& shown, std::size_t width);

} // namespace seedbed
