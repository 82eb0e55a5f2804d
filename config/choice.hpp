#pragma once

#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

#include "config/error_report.hpp"
#include "config/table_reader.hpp"

namespace seedbed {

/// The one of \p choices whose text is \p text; \p preset where there is none, and where it is none of them, which is
/// reported.
template <class T>
T read_choice(table_reader& table, std::string_view key, std::optional<std::string> const& text, T preset,
              std::initializer_list<T> choices) {
    if (!text) {
        return preset;
    }
    std::string expected;
    for (auto const choice : choices) {
        if (*text == to_string(choice)) {
            return choice;
        }
        auto const last = choice == *(choices.end() - 1);
        expected += (expected.empty() ? "" : last ? " or " : ", ") + std::string(to_string(choice));
    }
    table.fail(key, in_quotes(*text) + " is not known: expected " + expected);
    return preset;
}

} // namespace seedbed
