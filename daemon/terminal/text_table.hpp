#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace seedbed {

/// A column of a text_table.
struct text_column {
    std::string title;
    /// Where the table is too wide the column with the highest rank is left out first; 0 always stays.
    int rank = 0;
    bool right = false;    ///< aligned
    std::size_t least = 0; ///< characters to which its cells may be shortened; 0: not at all
    bool extra = false;    ///< left out before anything is shortened for it
};

/// Rows of texts as lines of a given width. Pure.
class text_table {
public:
    explicit text_table(std::vector<text_column> columns)
        : m_columns(std::move(columns)) {}

    /// \param cells printable ASCII, one a column.
    void add_row(std::vector<std::string> cells) { m_rows.push_back(std::move(cells)); }

    /// The titles and a line a row, none longer than \p width, without spaces at their ends. Columns are as wide as
    /// their widest cell, with two spaces between them, or one where that makes it fit; then cells are shortened, then
    /// columns left out. \param width 0: as wide as it takes.
    [[nodiscard]] std::vector<std::string> lines(std::size_t width) const;

private:
    /// How the table is laid out: the widths of the columns, 0 for those that are left out.
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
