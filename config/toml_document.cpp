#include "config/toml_document.hpp"

#include <algorithm>
#include <string>

namespace seedbed {

namespace {

constexpr int max_key_parts = 32;

/// Finds keys with too many parts ("a.b.c" has three). toml++ limits the nesting of values but not of keys, and frees
/// tables recursively, so a long enough key overflows the stack. The scan skips strings and comments; other values with
/// dots (numbers, dates) have few.
class key_scan {
public:
    explicit key_scan(std::string_view text)
        : m_text(text) {}

    /// The line of the first such key, or 0.
    [[nodiscard]] std::size_t line_of_long_key() {
        int parts = 1;
        while (m_at < m_text.size()) {
            char const c = m_text[m_at];
            if (c == '"' || c == '\'') {
                skip_string(c);
                continue;
            }
            if (c == '#') {
                m_at = std::min(m_text.find('\n', m_at), m_text.size());
                continue;
            }
            if (c == '.' && ++parts > max_key_parts) {
                return m_line;
            }
            if (std::string_view("=,[]{}\n").find(c) != std::string_view::npos) {
                parts = 1;
            }
            step();
        }
        return 0;
    }

private:
    void step() {
        m_line += m_text[m_at] == '\n' ? 1 : 0;
        ++m_at;
    }

    /// Skips the string that begins here. An unclosed one ends with its line, or with the text.
    void skip_string(char quote) {
        std::string const delimiter(3, quote);
        bool const multiline = m_text.substr(m_at).starts_with(delimiter);
        auto const end = std::string_view(delimiter).substr(0, multiline ? 3 : 1);
        m_at += end.size();
        while (m_at < m_text.size() && !m_text.substr(m_at).starts_with(end)) {
            if (!multiline && m_text[m_at] == '\n') {
                return;
            }
            if (quote == '"' && m_text[m_at] == '\\') {
                step();
            }
            if (m_at < m_text.size()) {
                step();
            }
        }
        m_at = std::min(m_at + end.size(), m_text.size());
        // Three quotes close a multi-line string, but up to two more before them are its last characters.
        for (int more = 0; multiline && more < 2 && m_text.substr(m_at).starts_with(quote); ++more) {
            ++m_at;
        }
    }

    std::string_view m_text;
    std::size_t m_at = 0;
    std::size_t m_line = 1;
};

} // namespace

std::optional<toml::table> parse_toml(std::string_view text, config_source const& source, error_report& report) {
    if (auto const line = key_scan(text).line_of_long_key(); line > 0) {
        report.add({&source, line}, "syntax", "a key has more than " + std::to_string(max_key_parts) + " parts");
        return std::nullopt;
    }
    try {
        return toml::parse(text);
    } catch (toml::parse_error const& failed) {
        report.add({&source, failed.source().begin.line}, "syntax", failed.description());
        return std::nullopt;
    }
}

} // namespace seedbed
