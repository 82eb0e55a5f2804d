#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace seedbed {

/// The parsed target of an HTTP request, "/path?key=value&key=value". Values are bytes: "%xx" is decoded, and a '+' is
/// kept, because clients do not encode it in an info_hash. A key may occur several times.
class query_string {
public:
    /// Nothing if a "%" is not followed by two hex digits.
    [[nodiscard]] static std::optional<query_string> parse(std::string_view target);

    /// The part before the '?', not decoded.
    [[nodiscard]] std::string const& path() const noexcept { return m_path; }
    /// The first value of \p key.
    [[nodiscard]] std::optional<std::string_view> find(std::string_view key) const;
    [[nodiscard]] std::vector<std::string_view> find_all(std::string_view key) const;
    /// The first value of \p key as a whole number; nothing if it is not a number or negative.
    [[nodiscard]] std::optional<std::int64_t> number(std::string_view key) const;

private:
    std::string m_path;
    std::vector<std::pair<std::string, std::string>> m_values;
};

/// Decodes each "%XX"; nothing if a "%" is not followed by two hex digits.
[[nodiscard]] std::optional<std::string> percent_decoded(std::string_view text);

/// Encodes all bytes except letters, digits and "-._~" as "%XX" (RFC 3986, 2.3).
[[nodiscard]] std::string percent_encoded(std::string_view bytes);

/// The bytes that 40 hex digits stand for; nothing for any other text.
[[nodiscard]] std::optional<std::string> bytes_of_hex(std::string_view hex);

} // namespace seedbed
