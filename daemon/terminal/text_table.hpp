#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace seedbed {

/// A column of a text_table.
struct text_column {
    std::string title;
    /// If the table is too wide, the column with the highest rank is dropped first; rank 0 is never dropped.
    int rank = 0;
    bool right = false;    ///< right-aligned
    std::size_t least = 0; ///< minimum width to which its cells may be shortened; 0: never shorten
    bool extra = false;    ///< dropped before any cell is shortened
};

/// Formats rows of texts as lines of a given width. Pure.
class text_table {
public:
    explicit text_table(std::vector<text_column> columns)
        : m_columns(std::move(columns)) {}

    /// \param cells printable ASCII, one per column.
    void add_row(std::vector<std::string> cells) { m_rows.push_back(std::move(cells)); }

    /// The titles and a line for each row, none longer than \p width and without trailing spaces. Columns are as wide
    /// as their widest cell and two spaces apart. To fit, the gap shrinks to one space, then cells are shortened, then
    /// columns are dropped.
    /// \param width 0: no limit.
    [[nodiscard]] std::vector<std::string> lines(std::size_t width) const;

private:
    /// The widths of the columns, 0 for dropped ones, and the gap between them.
    struct layout {
        std::vector<std::size_t> widths;
        std::size_t gap = 2;
    };
    [[nodiscard]] layout fit(std::size_t width) const;
    [[nodiscard]] std::string line(std::vector<std::string> const& cells, layout const& how, std::size_t width) const;

    std::vector<text_column> m_columns;
    std::vector<std::vector<std::string>> m_rows;
};

} // namespace seedbed
