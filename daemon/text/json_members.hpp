#pragma once

#include <chrono>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

#include "daemon/text/utc_time.hpp"

namespace seedbed {

// Members of JSON objects whose value may be unknown: null.

/// The value; null if there is none.
template <class T>
[[nodiscard]] nlohmann::ordered_json value_or_null(std::optional<T> const& value) {
    return value ? nlohmann::ordered_json(*value) : nlohmann::ordered_json();
}

/// Null unless \p known.
template <class T>
[[nodiscard]] nlohmann::ordered_json value_or_null(bool known, T const& value) {
    return known ? nlohmann::ordered_json(value) : nlohmann::ordered_json();
}

/// Null if \p text is empty.
[[nodiscard]] inline nlohmann::ordered_json text_or_null(std::string const& text) {
    return value_or_null(!text.empty(), text);
}

/// A time as by format_utc(); null without one, or if its year does not fit the format.
[[nodiscard]] inline nlohmann::ordered_json
utc_or_null(std::optional<std::chrono::system_clock::time_point> const& time) {
    return text_or_null(time ? format_utc(*time) : std::string());
}

/// The text of an object's member; empty if the member is missing or not a string.
template <class Json>
[[nodiscard]] std::string member_text(Json const& object, char const* key) {
    auto const at = object.find(key);
    return at != object.end() && at->is_string() ? at->template get<std::string>() : std::string();
}

} // namespace seedbed
