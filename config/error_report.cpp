#include "config/error_report.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <tuple>
#include <utility>

namespace seedbed {

namespace {

constexpr std::size_t longest_quote = 200;

bool is_control(char c) {
    return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
}

/// Escapes control characters as TOML does, so that an error stays one line of a log.
std::string printable(std::string const& text) {
    std::string out;
    out.reserve(text.size());
    for (char const c : text) {
        if (!is_control(c)) {
            out += c;
            continue;
        }
        std::array<char, 8> escape{};
        static_cast<void>(std::snprintf(escape.data(), escape.size(), "\\u%04X",
                                        static_cast<unsigned>(static_cast<unsigned char>(c))));
        out += escape.data();
    }
    return out;
}

/// The longest prefix of \p text of at most \p limit bytes that does not split a UTF-8 character.
std::string_view cut(std::string_view text, std::size_t limit) {
    while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) {
        --limit;
    }
    return text.substr(0, limit);
}

} // namespace

std::string config_place::text() const {
    return source->name + ":" + std::to_string(line);
}

void error_report::add(config_place const& place, std::string_view key, std::string_view reason) {
    m_entries.push_back(
        {place.source->order, place.line, place.text() + ": " + std::string(key) + ": " + std::string(reason)});
}

void error_report::add(config_source const& source, std::string message) {
    m_entries.push_back({source.order, 0, std::move(message)});
}

std::vector<std::string> error_report::take_lines() {
    std::stable_sort(m_entries.begin(), m_entries.end(), [](entry const& a, entry const& b) {
        return std::tie(a.order, a.line) < std::tie(b.order, b.line);
    });
    std::vector<std::string> lines;
    lines.reserve(m_entries.size());
    for (auto const& each : m_entries) {
        lines.push_back(printable(each.text));
    }
    m_entries.clear();
    return lines;
}

std::string in_quotes(std::string_view text) {
    if (text.size() <= longest_quote) {
        return "'" + std::string(text) + "'";
    }
    return "'" + std::string(cut(text, longest_quote)) + "...'";
}

} // namespace seedbed
