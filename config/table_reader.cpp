#include "config/table_reader.hpp"

#include <algorithm>
#include <utility>

#include "config/value_formats.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/closest_match.hpp"

namespace seedbed {

namespace {

/// Longer than any valid size, and short enough to be quoted in a message.
constexpr std::size_t longest_number = 64;

char const* describe(toml::node_type type) {
    switch (type) {
    case toml::node_type::table:
        return "a table";
    case toml::node_type::array:
        return "an array";
    case toml::node_type::string:
        return "a string";
    case toml::node_type::integer:
        return "an integer";
    case toml::node_type::floating_point:
        return "a floating-point number";
    case toml::node_type::boolean:
        return "a boolean";
    case toml::node_type::date:
    case toml::node_type::time:
    case toml::node_type::date_time:
        return "a date or time";
    case toml::node_type::none:
        break;
    }
    return "nothing";
}

template <class T, class Format>
std::optional<std::string> outside(T value, value_range<T> range, Format format) {
    if (value >= range.min && value <= range.max) {
        return std::nullopt;
    }
    return format(value) + " is out of range: " + format(range.min) + " to " + format(range.max);
}

std::string unknown_key(std::string_view key, std::vector<std::string> const& known) {
    auto const meant = closest_match(key, known);
    return meant ? "unknown key; did you mean " + *meant + "?" : "unknown key";
}

} // namespace

std::string exact_size(std::int64_t bytes) {
    auto const text = format_byte_size(bytes);
    return parse_byte_size(text) == bytes ? text : std::to_string(bytes) + " B";
}

table_reader::table_reader(toml::table const& table, std::string path, config_place place, error_report& report)
    : m_table(&table)
    , m_path(std::move(path))
    , m_place(place)
    , m_report(&report) {}

std::optional<std::string> table_reader::boolean_or_auto(std::string_view key) {
    auto const* const node = ask(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    if (auto const* const value = node->as_boolean()) {
        return value->get() ? "true" : "false";
    }
    if (auto const* const value = node->as_string(); value != nullptr && value->get() == "auto") {
        return "auto";
    }
    wrong_type(key, "true, false or \"auto\"", *node);
    return std::nullopt;
}

std::optional<bool> table_reader::boolean(std::string_view key) {
    auto const* node = ask(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    if (auto const* value = node->as_boolean()) {
        return value->get();
    }
    wrong_type(key, "true or false", *node);
    return std::nullopt;
}

std::optional<std::int64_t> table_reader::integer(std::string_view key, value_range<std::int64_t> range) {
    auto const* node = ask(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    auto const* value = node->as_integer();
    if (value == nullptr) {
        wrong_type(key, "an integer", *node);
        return std::nullopt;
    }
    if (auto const wrong = outside(value->get(), range, [](std::int64_t n) { return std::to_string(n); })) {
        fail(key, *wrong);
        return std::nullopt;
    }
    return value->get();
}

std::optional<std::string> table_reader::text(std::string_view key) {
    auto const* node = ask(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    if (auto const* value = node->as_string()) {
        return value->get();
    }
    wrong_type(key, "a string", *node);
    return std::nullopt;
}

std::optional<std::int64_t> table_reader::byte_size(std::string_view key, value_range<std::int64_t> range) {
    auto const* node = ask(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    result<std::int64_t> size = 0;
    if (auto const* number = node->as_integer()) {
        size = number->get();
    } else if (auto const* text = node->as_string()) {
        size = text->get().size() > longest_number ? tl::unexpected(error{in_quotes(text->get()) + " is not a size"})
                                                   : parse_byte_size(text->get());
    } else {
        wrong_type(key, "a size, in bytes or like \"16 MiB\"", *node);
        return std::nullopt;
    }
    if (!size) {
        fail(key, size.error().message);
        return std::nullopt;
    }
    if (auto const wrong = outside(*size, range, exact_size)) {
        fail(key, *wrong);
        return std::nullopt;
    }
    return *size;
}

std::optional<std::chrono::milliseconds> table_reader::duration(std::string_view key,
                                                                value_range<std::chrono::milliseconds> range) {
    auto const* node = ask(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    result<std::chrono::milliseconds> time;
    if (auto const* number = node->as_integer()) {
        time = std::chrono::milliseconds(number->get());
    } else if (auto const* text = node->as_string()) {
        time = parse_duration(text->get());
    } else {
        wrong_type(key, "a duration, in milliseconds or like \"100 ms\"", *node);
        return std::nullopt;
    }
    if (!time) {
        fail(key, time.error().message);
        return std::nullopt;
    }
    if (auto const wrong = outside(*time, range, format_duration)) {
        fail(key, *wrong);
        return std::nullopt;
    }
    return *time;
}

std::optional<std::vector<std::string>> table_reader::texts(std::string_view key, text_check const& check,
                                                            single_text single) {
    auto const* node = ask(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    std::vector<std::string> values;
    bool valid = true;
    if (auto const* list = node->as_array()) {
        for (auto const& element : *list) {
            valid = take_text(key, element, check, values) && valid;
        }
    } else if (single == single_text::allowed) {
        valid = take_text(key, *node, check, values);
    } else {
        wrong_type(key, "a list of strings", *node);
        valid = false;
    }
    return valid ? std::optional(std::move(values)) : std::nullopt;
}

std::optional<std::vector<ip_endpoint>> table_reader::endpoints(std::string_view key, single_text single) {
    std::vector<ip_endpoint> parsed;
    std::vector<std::string> seen; // as written, one per element of `parsed`
    auto const check = [&](std::string const& text) -> std::optional<error> {
        auto const endpoint = parse_ip_endpoint(text);
        if (!endpoint) {
            return endpoint.error();
        }
        auto const same = std::ranges::find(parsed, *endpoint);
        if (same != parsed.end()) {
            auto const& first = seen[static_cast<std::size_t>(same - parsed.begin())];
            return error{in_quotes(text) + " is the same as " + in_quotes(first)};
        }
        parsed.push_back(*endpoint);
        seen.push_back(text);
        return std::nullopt;
    };
    return texts(key, check, single) ? std::optional(std::move(parsed)) : std::nullopt;
}

bool table_reader::take_text(std::string_view key, toml::node const& element, text_check const& check,
                             std::vector<std::string>& into) {
    auto const* text = element.as_string();
    if (text == nullptr) {
        wrong_type(key, "a string", element);
        return false;
    }
    if (auto const wrong = check(text->get())) {
        m_report->add(place_of(element), path_of(key), wrong->message);
        return false;
    }
    into.push_back(text->get());
    return true;
}

std::optional<table_reader> table_reader::table(std::string_view key) {
    auto const* node = ask(key);
    if (node == nullptr) {
        return std::nullopt;
    }
    if (auto const* found = node->as_table()) {
        return table_reader(*found, path_of(key), place_of(key), *m_report);
    }
    wrong_type(key, "a table", *node);
    return std::nullopt;
}

std::vector<table_reader> table_reader::tables(std::string_view key) {
    std::vector<table_reader> readers;
    auto const* node = ask(key);
    if (node == nullptr) {
        return readers;
    }
    auto const* list = node->as_array();
    if (list == nullptr) {
        wrong_type(key, "[[" + path_of(key) + "]]", *node);
        return readers;
    }
    for (auto const& element : *list) {
        if (auto const* found = element.as_table()) {
            readers.emplace_back(*found, path_of(key), place_of(element), *m_report);
        } else {
            wrong_type(key, "a table", element);
        }
    }
    return readers;
}

void table_reader::require(std::string_view key, std::string_view expected) {
    if (!has(key)) {
        fail(key, "missing: expected " + std::string(expected));
    }
}

bool table_reader::has(std::string_view key) const {
    return m_table->contains(key);
}

std::optional<std::string> table_reader::peek_text(std::string_view key) const {
    auto const* const node = m_table->get(key);
    auto const* const text = node != nullptr ? node->as_string() : nullptr;
    return text != nullptr ? std::optional(text->get()) : std::nullopt;
}

bool table_reader::has_list(std::string_view key) const {
    auto const* const node = m_table->get(key);
    return node != nullptr && node->is_array();
}

void table_reader::fail(std::string_view key, std::string_view reason) {
    m_report->add(place_of(key), path_of(key), reason);
}

void table_reader::finish(std::string_view reason) {
    for (auto const& [key, value] : *m_table) {
        if (std::find(m_known.begin(), m_known.end(), key.str()) == m_known.end()) {
            fail(key.str(), reason.empty() ? unknown_key(key.str(), m_known) : reason);
        }
    }
}

config_place table_reader::place_of(std::string_view key) const {
    auto const found = m_table->find(key);
    return found == m_table->end() ? m_place : config_place{m_place.source, found->first.source().begin.line};
}

config_place table_reader::place_of(toml::node const& node) const {
    return {m_place.source, node.source().begin.line};
}

toml::node const* table_reader::ask(std::string_view key) {
    m_known.emplace_back(key);
    return m_table->get(key);
}

std::string table_reader::path_of(std::string_view key) const {
    return m_path.empty() ? std::string(key) : m_path + "." + std::string(key);
}

void table_reader::wrong_type(std::string_view key, std::string_view expected, toml::node const& found) {
    m_report->add(place_of(found), path_of(key),
                  "expected " + std::string(expected) + ", found " + describe(found.type()));
}

} // namespace seedbed
