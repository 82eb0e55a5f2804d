#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "daemon/status/board_document.hpp"
#include "daemon/terminal/key_decoder.hpp"
#include "daemon/terminal/machine_rows.hpp"
#include "daemon/terminal/styled_line.hpp"

namespace seedbed {

/// The machines on a screen, one of which is selected and shown in full. Keys move the selection, sort and filter.
/// Formats only the lines that fit. Pure.
class machine_view {
public:
    /// Uses these machines from now on. The selected machine stays selected.
    void show(shown_board shown);
    [[nodiscard]] bool has_machines() const noexcept { return m_shown.has_value(); }
    [[nodiscard]] std::optional<shown_board> const& machines() const noexcept { return m_shown; }

    /// \return whether the key has a meaning here.
    bool on_key(pressed_key const& key);
    /// Whether typed characters go to the filter.
    [[nodiscard]] bool is_typing() const noexcept { return m_typing; }

    /// At most \p height lines of at most \p width characters. \param note text at the end of the first line: the time.
    /// \param trouble why the machines are out of date, or empty.
    [[nodiscard]] std::vector<styled_line> screen(std::string const& note, std::string const& trouble,
                                                  std::size_t width, std::size_t height);

private:
    void choose();
    bool on_filter_key(pressed_key const& key);
    bool on_command(char command);
    /// Moves the selection by a number of rows.
    void move(std::ptrdiff_t rows);
    [[nodiscard]] std::string first_line(std::string const& note, std::size_t width) const;
    [[nodiscard]] std::string last_line(std::size_t width) const;
    [[nodiscard]] std::vector<styled_line> errors(std::string const& trouble, std::size_t width,
                                                  std::size_t most) const;
    /// The selected machine in full.
    [[nodiscard]] std::vector<std::string> details(std::size_t width, std::size_t most) const;
    void add_rows(std::vector<styled_line>& lines, std::size_t count, std::size_t width);

    std::optional<shown_board> m_shown;
    std::vector<board_row const*> m_rows; ///< of m_shown, chosen and sorted
    std::string m_filter;
    row_order m_order = row_order::worst;
    bool m_reverse = false;
    bool m_typing = false;
    std::size_t m_selected = 0; ///< index into m_rows
    std::size_t m_first = 0;    ///< the row at the top
    std::size_t m_page = 1;     ///< rows of the last screen
};

} // namespace seedbed
