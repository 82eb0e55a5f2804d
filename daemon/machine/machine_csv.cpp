#include "daemon/machine/machine_csv.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>
#include <vector>

#include "core/foundation/format_count.hpp"
#include "core/foundation/printable.hpp"

namespace seedbed {

namespace {

constexpr std::array<std::string_view, 8> csv_columns{"name", "mac",  "serial",  "image",
                                                      "disk", "grow", "new_ids", "after"};
constexpr std::string_view byte_order_mark = "\xef\xbb\xbf";

using csv_row = std::vector<std::string>;

std::string without_blanks(std::string const& text) {
    auto const begin = text.find_first_not_of(" \t");
    return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// Splits a line. Nothing if a quoted field does not end, or continues after its end.
std::optional<csv_row> split_fields(std::string_view line, char separator) {
    csv_row row(1);
    bool quoted = false;
    bool ended = false; // a quoted field
    for (std::size_t i = 0; i < line.size(); ++i) {
        auto const c = line[i];
        if (quoted && c == '"' && i + 1 < line.size() && line[i + 1] == '"') {
            row.back() += line[++i];
        } else if (quoted && c == '"') {
            quoted = false;
            ended = true;
        } else if (!quoted && c == separator) {
            row.emplace_back();
            ended = false;
        } else if (!quoted && c == '"' && row.back().empty()) {
            quoted = true;
        } else if (ended) {
            return std::nullopt;
        } else {
            row.back() += c;
        }
    }
    if (quoted) {
        return std::nullopt;
    }
    std::ranges::transform(row, row.begin(), without_blanks);
    return row;
}

/// A TOML basic string.
std::string toml_text(std::string const& text) {
    std::string quoted = "\"";
    for (auto const c : text) {
        quoted += c == '"' || c == '\\' ? std::string{'\\', c} : std::string(1, c);
    }
    return quoted + '"';
}

std::string toml_value(std::string const& column, std::string const& text) {
    auto const is_flag = column == "new_ids" && (text == "true" || text == "false");
    return is_flag ? text : toml_text(text);
}

bool has_control(std::string_view line) {
    return std::ranges::any_of(line, [](char c) { return (c >= 0 && c < ' ' && c != '\t') || c == '\x7f'; });
}

class csv_reader {
public:
    explicit csv_reader(std::string const& name)
        : m_name(name) {}

    void add_header(std::string_view line) {
        m_separator = line.find(';') != std::string_view::npos && line.find(',') == std::string_view::npos ? ';' : ',';
        m_columns = split_fields(line, m_separator).value_or(csv_row{});
        for (auto const& column : m_columns) {
            if (std::ranges::find(csv_columns, column) == csv_columns.end()) {
                fail("unknown column '" + column +
                     "': expected name, image, mac or serial, disk, grow, new_ids, after");
            } else if (std::ranges::count(m_columns, column) > 1) {
                fail("the column '" + column + "' occurs twice");
            }
        }
        m_toml = "machine = [ # made from " + printable(m_name) + " by \"seedbed machine import\"\n";
    }

    void add_line(std::string_view line) {
        ++m_line;
        auto const blank = line.find_first_not_of(" \t");
        if (blank == std::string_view::npos || line[blank] == '#') {
            m_toml += '\n';
            return;
        }
        auto const row = has_control(line) ? std::nullopt : split_fields(line, m_separator);
        if (!row) {
            fail("a quoted field does not end in this line, or the line contains a control character");
        } else if (row->size() != m_columns.size()) {
            fail(format_count(row->size(), "field") + ", but the first line names " +
                 format_count(m_columns.size(), "column"));
        } else {
            std::string keys;
            for (std::size_t i = 0; i < row->size(); ++i) {
                if (!(*row)[i].empty()) {
                    keys += (keys.empty() ? " " : ", ") + m_columns[i] + " = " + toml_value(m_columns[i], (*row)[i]);
                }
            }
            m_toml += "  {" + keys + " },\n";
            return;
        }
        m_toml += '\n';
    }

    [[nodiscard]] result<std::string, config_errors> finish() {
        if (!m_errors.lines.empty()) {
            return tl::unexpected(std::move(m_errors));
        }
        return m_toml + "]\n";
    }

private:
    void fail(std::string const& reason) {
        m_errors.lines.push_back(printable(m_name + ":" + std::to_string(m_line) + ": " + reason));
    }

    std::string const& m_name;
    std::size_t m_line = 1;
    char m_separator = ',';
    csv_row m_columns;
    std::string m_toml;
    config_errors m_errors;
};

} // namespace

result<std::string, config_errors> machines_from_csv(std::string_view csv, std::string const& name) {
    if (csv.starts_with(byte_order_mark)) {
        csv.remove_prefix(byte_order_mark.size());
    }
    csv_reader reader(name);
    for (bool first = true; first || !csv.empty(); first = false) {
        auto const end = csv.find('\n');
        auto line = csv.substr(0, end);
        csv.remove_prefix(end == std::string_view::npos ? csv.size() : end + 1);
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        first ? reader.add_header(line) : reader.add_line(line);
    }
    return reader.finish();
}

} // namespace seedbed
