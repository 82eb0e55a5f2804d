#include "daemon/terminal/text_table.hpp"

#include <algorithm>
#include <numeric>
#include <optional>

#include "daemon/text/display_text.hpp"

namespace seedbed {

namespace {

std::size_t total(std::vector<std::size_t> const& widths, std::size_t gap) {
    auto const shown = static_cast<std::size_t>(std::ranges::count_if(widths, [](auto each) { return each > 0; }));
    return std::accumulate(widths.begin(), widths.end(), std::size_t{0}) + gap * (shown > 0 ? shown - 1 : 0);
}

/// Narrows the widest column that may be shortened until the table fits. \return whether it fits.
bool shrink(std::vector<std::size_t>& widths, std::vector<text_column> const& columns, std::size_t gap,
            std::size_t width) {
    while (total(widths, gap) > width) {
        std::optional<std::size_t> widest;
        for (std::size_t i = 0; i < widths.size(); ++i) {
            if (columns[i].least > 0 && widths[i] > columns[i].least && (!widest || widths[i] > widths[*widest])) {
                widest = i;
            }
        }
        if (!widest) {
            return false;
        }
        --widths[*widest];
    }
    return true;
}

} // namespace

text_table::layout text_table::fit(std::size_t width) const {
    std::vector<std::size_t> widths(m_columns.size());
    for (std::size_t i = 0; i < widths.size(); ++i) {
        widths[i] = m_columns[i].title.size();
        for (auto const& row : m_rows) {
            widths[i] = std::max(widths[i], row[i].size());
        }
    }
    for (;;) {
        for (auto const gap : {std::size_t{2}, std::size_t{1}}) {
            if (width == 0 || total(widths, gap) <= width) {
                return {widths, gap};
            }
        }
        std::optional<std::size_t> last;
        for (std::size_t i = 0; i < widths.size(); ++i) {
            if (widths[i] > 0 && m_columns[i].rank > 0 && (!last || m_columns[i].rank > m_columns[*last].rank)) {
                last = i;
            }
        }
        if (!last || !m_columns[*last].extra) {
            auto narrow = widths;
            if (shrink(narrow, m_columns, 1, width) || !last) {
                return {narrow, 1};
            }
        }
        widths[*last] = 0;
    }
}

std::string text_table::line(std::vector<std::string> const& cells, layout const& how, std::size_t width) const {
    std::string text;
    bool first = true;
    for (std::size_t i = 0; i < cells.size(); ++i) {
        if (how.widths[i] == 0) {
            continue;
        }
        auto const cell = shorten(cells[i], how.widths[i]);
        auto const padding = std::string(how.widths[i] - cell.size(), ' ');
        text += std::string(first ? 0 : how.gap, ' ');
        text += m_columns[i].right ? padding + cell : cell + padding;
        first = false;
    }
    if (width > 0 && text.size() > width) {
        text.resize(width);
    }
    text.erase(text.find_last_not_of(' ') + 1);
    return text;
}

std::vector<std::string> text_table::lines(std::size_t width) const {
    auto const how = fit(width);
    std::vector<std::string> titles;
    for (auto const& column : m_columns) {
        titles.push_back(column.title);
    }
    std::vector<std::string> all{line(titles, how, width)};
    for (auto const& row : m_rows) {
        all.push_back(line(row, how, width));
    }
    return all;
}

} // namespace seedbed
