#include "roff.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "config/key.hpp"

namespace seedbed::manual {

namespace {

std::vector<std::string_view> lines_of(std::string_view text) {
    std::vector<std::string_view> lines;
    while (!text.empty()) {
        auto const end = std::min(text.find('\n'), text.size());
        lines.push_back(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return lines;
}

std::string_view trimmed(std::string_view text) {
    auto const first = std::min(text.find_first_not_of(' '), text.size());
    text.remove_prefix(first);
    return text.substr(0, text.find_last_not_of(' ') + 1);
}

std::string bold(std::string_view text) {
    return "\\fB" + literal(text) + "\\fR";
}

/// "SOURCE -o FILE [OPTION]...": options in bold, placeholders in italics.
std::string usage_words(std::string_view usage) {
    std::string text;
    while (!usage.empty()) {
        auto const end = std::min(usage.find(' '), usage.size());
        auto const word = usage.substr(0, end);
        // Brackets and dots mark optional and repeatable parts: they belong to no word.
        auto const begin = std::min(word.find_first_not_of('['), word.size());
        auto const tail = word.substr(0, std::min(word.find("..."), word.size())).find_last_not_of(']') + 1;
        auto const core = word.substr(begin, tail - begin);
        text += text.empty() ? "" : " ";
        text += literal(word.substr(0, begin));
        text += core.starts_with('-') ? bold(core) : "\\fI" + literal(core) + "\\fR";
        text += word.substr(tail);
        usage.remove_prefix(std::min(end + 1, usage.size()));
    }
    return text;
}

void add_exit_status(std::string& page, command_help const& help) {
    page += ".PP\nExit status:\n";
    for (auto const& [status, meaning] : help.exit_status) {
        page += ".TP\n.B " + std::to_string(status) + "\n" + paragraph(meaning);
    }
    for (auto const& note : help.notes) {
        page += ".PP\n" + paragraph(note);
    }
}

/// Folds \p text, already escaped, into lines short enough for mandoc's lint.
std::string folded(std::string_view text) {
    constexpr std::size_t width = 78;
    std::string lines;
    std::string line;
    auto const end_line = [&] {
        // Not a request, although it looks like one.
        lines += (line.starts_with('.') ? "\\&" : "") + line + '\n';
        line.clear();
    };
    while (!text.empty()) {
        auto const end = std::min(text.find(' '), text.size());
        if (!line.empty() && line.size() + 1 + end > width) {
            end_line();
        }
        line += (line.empty() ? "" : " ") + std::string(text.substr(0, end));
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    end_line();
    return lines;
}

/// Converts Markdown's `code`, [text](link) and **emphasis** in a table cell.
std::string inline_text(std::string_view markdown) {
    std::string text;
    while (!markdown.empty()) {
        auto const at = std::min(markdown.find_first_of("`[*"), markdown.size());
        text += literal(markdown.substr(0, at));
        markdown.remove_prefix(at);
        if (markdown.empty()) {
            break;
        }
        auto const mark = markdown.starts_with("**") ? std::string_view("**") : markdown.substr(0, 1);
        auto const closing = mark == "[" ? std::string_view("](") : mark;
        auto const end = markdown.find(closing, mark.size());
        if (end == std::string_view::npos) {
            text += literal(mark);
            markdown.remove_prefix(mark.size());
            continue;
        }
        auto const inner = markdown.substr(mark.size(), end - mark.size());
        text += mark == "[" ? literal(inner) : bold(inner);
        markdown.remove_prefix(end + closing.size());
        if (mark == "[") {
            markdown.remove_prefix(std::min(markdown.find(')'), markdown.size() - 1) + 1);
        }
    }
    return text;
}

/// A comment as paragraphs; the first one begins with \p first. A line "name   text" and the indented lines below it
/// form an item of a list.
std::string comment_text(std::vector<std::string_view> const& comment, std::string const& first) {
    std::string page;
    std::string text;
    auto begin = first;
    auto const end_paragraph = [&] {
        page += text.empty() ? "" : begin + paragraph(text);
        begin = text.empty() ? begin : ".PP\n";
        text.clear();
    };
    for (auto const line : comment) {
        auto const word = line.substr(0, line.find(' '));
        auto const rest = line.substr(word.size());
        if (line.empty()) {
            end_paragraph();
        } else if (!word.empty() && rest.starts_with("  ") && !word.ends_with('.')) {
            end_paragraph();
            begin = ".TP\n" + bold(word) + "\n";
            text = trimmed(rest);
        } else {
            text += (text.empty() ? "" : " ") + std::string(trimmed(line));
        }
    }
    end_paragraph();
    return page;
}

/// One key: the name in the left column, everything else in the right one.
template <class Whole>
std::string key_row(config_key<Whole> const& key) {
    auto text = key.form.type;
    text += key.form.range.empty() ? "" : ", " + key.form.range;
    text += key.preset == "required" ? "; required" : "; default " + (key.preset.empty() ? "none" : key.preset);
    text += std::string("; ") + to_string(key.change);
    if (key.only) {
        text += std::string("; only for mode \"") + to_string(*key.only) + "\"";
    }
    return ".TP 22n\n" + bold(key.name) + "\n" + paragraph(text);
}

template <class Whole>
std::string key_rows(std::vector<config_key<Whole>> const& keys, std::string const& open, std::string const& close) {
    std::string page;
    std::string table;
    for (auto const& key : keys) {
        if (key.table != table) {
            table = key.table;
            page += ".SS " + literal(open + table + close) + "\n";
        }
        page += key_row(key);
    }
    return page;
}

/// The cells of a Markdown table's row; "\|" is not a border.
std::vector<std::string> cells_of(std::string_view row) {
    std::vector<std::string> cells(1);
    row = trimmed(row);
    row.remove_prefix(1);
    row.remove_suffix(1);
    for (std::size_t i = 0; i < row.size(); ++i) {
        if (row[i] == '\\' && i + 1 < row.size() && row[i + 1] == '|') {
            cells.back() += row[++i];
        } else if (row[i] == '|') {
            cells.emplace_back();
        } else {
            cells.back() += row[i];
        }
    }
    for (auto& cell : cells) {
        cell = std::string(trimmed(cell));
    }
    return cells;
}

} // namespace

std::string literal(std::string_view text) {
    std::string escaped;
    for (std::size_t i = 0; i < text.size(); ++i) {
        switch (text[i]) {
        case '\\':
            escaped += "\\e";
            break;
        case '-':
            escaped += "\\-";
            break;
        case '\'':
            escaped += "\\(aq";
            break;
        case '`':
            escaped += "\\(ga";
            break;
        case '^':
            escaped += "\\(ha";
            break;
        case '~':
            escaped += "\\(ti";
            break;
        case '"':
            escaped += "\\(dq"; // safe in an argument of a macro, too
            break;
        default:
            // The only non-ASCII character in the sources: the ellipsis, for a variable part.
            if (text.substr(i).starts_with("\xe2\x80\xa6")) {
                escaped += "...";
                i += 2;
            } else {
                escaped += text[i];
            }
        }
    }
    return escaped.starts_with('.') ? "\\&" + escaped : escaped;
}

std::string paragraph(std::string_view text) {
    return folded(literal(text));
}

std::string synopsis(std::vector<subcommand> const& all) {
    std::string page;
    for (auto const& [summary, help] : all) {
        for (auto const& usage : help.usage) {
            page += (page.empty() ? "" : ".br\n") + bold("seedbed " + help.name) + " " + usage_words(usage) + "\n";
        }
    }
    return page;
}

std::string commands_section(std::vector<subcommand> const& all) {
    std::string page;
    for (auto const& [summary, help] : all) {
        page += ".SS seedbed " + help.name + " \\- " + literal(summary) + "\n";
        for (std::size_t i = 0; i < help.paragraphs.size(); ++i) {
            page += (i == 0 ? "" : ".PP\n") + paragraph(help.paragraphs[i]);
        }
        for (auto const& option : help.options) {
            page += ".TP\n" + bold(option.name) +
                    (option.argument.empty() ? "" : " \\fI" + literal(option.argument) + "\\fR") + "\n" +
                    paragraph(option.text);
        }
        add_exit_status(page, help);
    }
    return page;
}

std::string keys_section(std::string_view toml) {
    std::string page;
    bool at_heading = true; // no text below it yet
    bool in_table = false;
    std::vector<std::string_view> comment; // read, but not written yet
    bool comment_ended = false;            // by an empty line
    std::vector<std::string_view> keys;    // the consecutive keys that the comment explains

    auto const write_comment = [&] {
        if (!comment.empty()) {
            page += comment_text(comment, at_heading ? "" : ".PP\n");
            at_heading = false;
        }
        comment.clear();
    };
    auto const write_keys = [&] {
        if (keys.empty()) {
            return;
        }
        if (comment.empty()) {
            page += at_heading ? ".nf\n" : ".PP\n.nf\n";
            for (auto const key : keys) {
                page += bold(key) + "\n";
            }
            page += ".fi\n";
        } else {
            for (auto const key : keys) {
                page += (key == keys.front() ? ".TP\n" : ".TQ\n") + bold(key) + "\n";
            }
            page += comment_text(std::exchange(comment, {}), "");
        }
        at_heading = false;
        keys.clear();
    };
    for (auto const line : lines_of(toml)) {
        auto const is_table = line.starts_with('[') || line.starts_with("#[");
        auto const is_comment = line == "#" || line.starts_with("# ");
        if (line.empty()) {
            write_keys();
            comment_ended = true;
            if (!in_table) {
                write_comment();
            }
        } else if (is_table) {
            write_keys();
            page += ".SS " + literal(line.substr(line.starts_with('#') ? 1 : 0)) + "\n";
            at_heading = in_table = true;
            write_comment();
        } else if (is_comment) {
            write_keys();
            if (comment_ended) {
                write_comment(); // it belongs to no key or table
            }
            comment.push_back(line.substr(std::min<std::size_t>(2, line.size())));
            comment_ended = false;
        } else if (line.starts_with('#')) {
            keys.push_back(line.substr(1));
        }
    }
    write_keys();
    write_comment();
    return page;
}

std::string key_table() {
    return key_rows(daemon_keys(), "[", "]") + key_rows(image_keys(), "[[", "]]") +
           key_rows(machine_keys(), "[[", "]]");
}

std::string messages_section(std::string_view readme, std::string_view title) {
    std::string page;
    bool here = false;
    for (auto const line : lines_of(readme)) {
        if (line.starts_with("## ")) {
            here = line.substr(3) == title;
        } else if (here && line.starts_with("### ")) {
            page += ".SS " + inline_text(line.substr(4)) + "\n";
        } else if (here && line.starts_with("| `")) {
            auto const cells = cells_of(line);
            page += ".TP\n" + inline_text(cells.at(0)) + "\n";
            for (std::size_t i = 1; i < cells.size(); ++i) {
                page += cells[i].empty() ? "" : folded(inline_text(cells[i]));
            }
        }
    }
    return page;
}

} // namespace seedbed::manual
