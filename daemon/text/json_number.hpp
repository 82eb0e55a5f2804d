#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include <nlohmann/json.hpp>

namespace seedbed {

/// Reads a JSON value that comes from a file or a peer. An integer that \p into cannot hold, or a number with a
/// fraction or exponent, throws json::exception: nlohmann's own conversion truncates it, which for a number such as
/// 1e104 is undefined behaviour ([conv.fpint]). Other types are read as by get_to().
template <class Json, class T>
void read_json(Json const& from, T& into) {
    if constexpr (std::is_integral_v<T> && !std::is_same_v<T, bool>) {
        if (!from.is_number_integer()) {
            throw Json::type_error::create(302, "not an integer", &from);
        }
        // The sign decides which of the two types it has.
        auto const fits = from.is_number_unsigned() ? std::in_range<T>(from.template get<std::uint64_t>())
                                                    : std::in_range<T>(from.template get<std::int64_t>());
        if (!fits) {
            throw Json::out_of_range::create(406, "number out of range", &from);
        }
    }
    from.get_to(into);
}

/// The same, returned.
template <class T, class Json>
[[nodiscard]] T json_value(Json const& from) {
    T value{};
    read_json(from, value);
    return value;
}

} // namespace seedbed
