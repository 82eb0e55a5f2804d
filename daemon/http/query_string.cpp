#include "daemon/http/query_string.hpp"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

namespace seedbed {

namespace {

std::optional<char> hex_pair(std::string_view two) {
    unsigned char value = 0;
    auto const [end, ec] = std::from_chars(two.data(), two.data() + two.size(), value, 16);
    if (two.size() != 2 || ec != std::errc{} || end != two.data() + 2) {
        return std::nullopt;
    }
    return static_cast<char>(value);
}

} // namespace

std::optional<std::string> percent_decoded(std::string_view text) {
    std::string bytes;
    bytes.reserve(text.size());
    while (!text.empty()) {
        auto const plain = std::min(text.find('%'), text.size());
        bytes += text.substr(0, plain);
        text.remove_prefix(plain);
        if (text.empty()) {
            break;
        }
        auto const value = hex_pair(text.substr(1, 2));
        if (!value) {
            return std::nullopt;
        }
        bytes += *value;
        text.remove_prefix(3);
    }
    return bytes;
}

std::optional<query_string> query_string::parse(std::string_view target) {
    query_string parsed;
    auto const mark = target.find('?');
    parsed.m_path = std::string(target.substr(0, mark));
    auto rest = mark == std::string_view::npos ? std::string_view() : target.substr(mark + 1);
    while (!rest.empty()) {
        auto const end = std::min(rest.find('&'), rest.size());
        auto const pair = rest.substr(0, end);
        rest.remove_prefix(std::min(end + 1, rest.size()));
        auto const equals = std::min(pair.find('='), pair.size());
        auto key = percent_decoded(pair.substr(0, equals));
        auto value = percent_decoded(pair.substr(std::min(equals + 1, pair.size())));
        if (!key || !value) {
            return std::nullopt;
        }
        parsed.m_values.emplace_back(std::move(*key), std::move(*value));
    }
    return parsed;
}

std::optional<std::string_view> query_string::find(std::string_view key) const {
    auto const at = std::ranges::find(m_values, key, [](auto const& pair) -> std::string_view { return pair.first; });
    return at == m_values.end() ? std::nullopt : std::optional<std::string_view>(at->second);
}

std::vector<std::string_view> query_string::find_all(std::string_view key) const {
    std::vector<std::string_view> values;
    for (auto const& [name, value] : m_values) {
        if (name == key) {
            values.push_back(value);
        }
    }
    return values;
}

std::optional<std::int64_t> query_string::number(std::string_view key) const {
    auto const text = find(key);
    std::int64_t value = 0;
    if (!text || text->empty()) {
        return std::nullopt;
    }
    auto const [end, ec] = std::from_chars(text->data(), text->data() + text->size(), value);
    if (end != text->data() + text->size() || value < 0) {
        return std::nullopt;
    }
    // BEP 3 sets no limit. A client that does not know what is left sends 2^64 - 1 or the like: a very large number.
    return ec == std::errc::result_out_of_range ? std::numeric_limits<std::int64_t>::max()
           : ec == std::errc{}                  ? std::optional(value)
                                                : std::nullopt;
}

std::string percent_encoded(std::string_view bytes) {
    constexpr std::string_view digits = "0123456789ABCDEF";
    std::string text;
    for (auto const c : bytes) {
        auto const value = static_cast<unsigned char>(c);
        auto const plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '.' || c == '_' || c == '~';
        if (plain) {
            text += c;
        } else {
            text += '%';
            text += digits[value >> 4];
            text += digits[value & 15];
        }
    }
    return text;
}

std::optional<std::string> bytes_of_hex(std::string_view hex) {
    std::string bytes;
    if (hex.size() != 40) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < hex.size(); i += 2) {
        auto const value = hex_pair(hex.substr(i, 2));
        if (!value) {
            return std::nullopt;
        }
        bytes += *value;
    }
    return bytes;
}

} // namespace seedbed
