#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <toml++/toml.h>

#include "config/error_report.hpp"
#include "config/ip_endpoint.hpp"
#include "core/foundation/error.hpp"

namespace seedbed {

/// The valid range of a key's value; both ends are included.
template <class T>
struct value_range {
    T min;
    T max;
};

/// Formats a size without rounding: "16 MiB", "16777215 B".
[[nodiscard]] std::string exact_size(std::int64_t bytes);

/// Reads the keys of one table. An invalid value is reported and then counts as absent, so one pass finds every error.
/// The requested keys are the known ones: finish() reports all others.
///
/// Threads: one at a time. The table, the source and the report must outlive the reader.
class table_reader {
public:
    /// \param path the table's dotted path, empty for the file's root. \param place the table's first line.
    table_reader(toml::table const& table, std::string path, config_place place, error_report& report);

    [[nodiscard]] std::optional<bool> boolean(std::string_view key);
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view key, value_range<std::int64_t> range);
    [[nodiscard]] std::optional<std::string> text(std::string_view key);
    /// A boolean, or the text "auto"; returned as "true", "false" or "auto".
    [[nodiscard]] std::optional<std::string> boolean_or_auto(std::string_view key);
    /// An integer, in bytes, or a text in the format of parse_byte_size().
    [[nodiscard]] std::optional<std::int64_t> byte_size(std::string_view key, value_range<std::int64_t> range);
    /// An integer, in milliseconds, or a text in the format of parse_duration().
    [[nodiscard]] std::optional<std::chrono::milliseconds> duration(std::string_view key,
                                                                    value_range<std::chrono::milliseconds> range);

    /// Why a text is invalid, or nothing.
    using text_check = std::function<std::optional<error>(std::string const&)>;
    enum class single_text : bool { refused, allowed };
    /// A list of texts that pass \p check. \param single whether a single text may be given instead of a list of one.
    [[nodiscard]] std::optional<std::vector<std::string>> texts(std::string_view key, text_check const& check,
                                                                single_text single = single_text::refused);

    /// A list of distinct "ADDRESS:PORT" values.
    [[nodiscard]] std::optional<std::vector<ip_endpoint>> endpoints(std::string_view key,
                                                                    single_text single = single_text::refused);

    [[nodiscard]] std::optional<table_reader> table(std::string_view key);
    /// The tables of a [[key]] array, in the order of the file.
    [[nodiscard]] std::vector<table_reader> tables(std::string_view key);

    /// Reports \p key as missing if the table does not have it. \param expected what its value should be.
    void require(std::string_view key, std::string_view expected);
    [[nodiscard]] bool has(std::string_view key) const;
    /// The value of \p key if it is a text; does not count as requesting the key.
    [[nodiscard]] std::optional<std::string> peek_text(std::string_view key) const;
    /// Whether the value of \p key is a list.
    [[nodiscard]] bool has_list(std::string_view key) const;

    /// Reports an error of \p key, at its line.
    void fail(std::string_view key, std::string_view reason);

    /// Reports each key that was not requested: with \p reason or, without one, as unknown, along with a similar known
    /// key.
    void finish(std::string_view reason = {});

    /// The table's first line.
    [[nodiscard]] config_place place() const noexcept { return m_place; }
    /// The line of \p key, or the table's if the key is missing.
    [[nodiscard]] config_place place_of(std::string_view key) const;

private:
    [[nodiscard]] toml::node const* ask(std::string_view key);
    [[nodiscard]] config_place place_of(toml::node const& node) const;
    [[nodiscard]] std::string path_of(std::string_view key) const;
    void wrong_type(std::string_view key, std::string_view expected, toml::node const& found);
    /// Reports \p element and returns false if it is not a valid text.
    bool take_text(std::string_view key, toml::node const& element, text_check const& check,
                   std::vector<std::string>& into);

    toml::table const* m_table;
    std::string m_path;
    config_place m_place;
    error_report* m_report;
    std::vector<std::string> m_known;
};

} // namespace seedbed
