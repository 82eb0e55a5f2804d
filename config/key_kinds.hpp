#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error_report.hpp"
#include "config/ip_endpoint.hpp"
#include "config/ip_network.hpp"
#include "config/key.hpp"
#include "config/table_reader.hpp"
#include "core/device/growth.hpp"

// The formats of values: each is a Kind of key_section.
namespace seedbed::kind {

struct flag {
    [[nodiscard]] std::optional<bool> read(table_reader& table, std::string_view key,
                                           std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
    [[nodiscard]] std::string text(bool value) const;
};

struct number {
    value_range<int> range;
    [[nodiscard]] std::optional<int> read(table_reader& table, std::string_view key,
                                          std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
    [[nodiscard]] std::string text(int value) const;
};

/// A number, or 0 for no limit.
struct number_or_zero : number {
    [[nodiscard]] std::optional<int> read(table_reader& table, std::string_view key,
                                          std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
};

struct power_of_two : number {
    [[nodiscard]] std::optional<int> read(table_reader& table, std::string_view key,
                                          std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
};

/// Bytes.
struct size {
    value_range<std::int64_t> range;
    [[nodiscard]] std::optional<std::int64_t> read(table_reader& table, std::string_view key,
                                                   std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
    [[nodiscard]] std::string text(std::int64_t value) const;
};

/// Bytes, or a share of the machine's memory, such as "25 %", which becomes bytes when it is read.
struct size_or_share : size {
    [[nodiscard]] std::optional<std::int64_t> read(table_reader& table, std::string_view key,
                                                   std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
};

/// Bytes per second; 0: no limit. libtorrent stores the rate in an int.
struct rate : size {
    rate()
        : size{{0, (1LL << 31) - 1}} {}
    [[nodiscard]] key_form form() const;
};

struct duration {
    value_range<std::chrono::milliseconds> range;
    [[nodiscard]] std::optional<std::chrono::milliseconds> read(table_reader& table, std::string_view key,
                                                                std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
    [[nodiscard]] std::string text(std::chrono::milliseconds value) const;
};

/// Addresses to listen on: a single one, or a list of at least one.
struct listeners {
    [[nodiscard]] std::optional<std::vector<ip_endpoint>> read(table_reader& table, std::string_view key,
                                                               std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
    [[nodiscard]] std::string text(std::vector<ip_endpoint> const& value) const;
};

/// A list of networks: at least one.
struct networks {
    [[nodiscard]] std::optional<std::vector<ip_network>> read(table_reader& table, std::string_view key,
                                                              std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
};

/// An absolute path without "." and "..".
struct path {
    bool required = false;
    [[nodiscard]] std::optional<std::string> read(table_reader& table, std::string_view key,
                                                  std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
};

/// The path of a Unix socket; empty: none.
struct socket_path {
    [[nodiscard]] std::optional<std::string> read(table_reader& table, std::string_view key,
                                                  std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
    [[nodiscard]] std::string text(std::string const& value) const;
};

/// The name of an image; empty: none.
struct image_name {
    bool required = false;
    [[nodiscard]] std::optional<std::string> read(table_reader& table, std::string_view key,
                                                  std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
};

/// A rule that parse_disk_rule() accepts.
struct disk_rule {
    [[nodiscard]] std::optional<std::string> read(table_reader& table, std::string_view key,
                                                  std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
    [[nodiscard]] std::string text(std::string const& value) const;
};

/// A partition that grows, as parse_growth() reads it.
struct grown_partition {
    [[nodiscard]] std::optional<growth> read(table_reader& table, std::string_view key,
                                             std::filesystem::path const& folder) const;
    [[nodiscard]] key_form form() const;
    [[nodiscard]] std::string text(growth const& value) const;
};

/// \return "a, b or c".
[[nodiscard]] std::string any_of(std::vector<std::string> const& words);

/// One of an enum's values, as its to_string() writes it.
template <class Enum>
struct word {
    std::vector<Enum> choices;
    bool required = false;

    [[nodiscard]] std::optional<Enum> read(table_reader& table, std::string_view key,
                                           std::filesystem::path const& /*folder*/) const {
        if (required) {
            table.require(key, expected());
        }
        auto const text = table.text(key);
        return text ? find(table, key, *text) : std::nullopt;
    }
    [[nodiscard]] key_form form() const { return {"word", expected()}; }
    [[nodiscard]] std::string text(Enum value) const { return to_string(value); }

protected:
    [[nodiscard]] std::string expected() const {
        std::vector<std::string> words;
        for (auto const choice : choices) {
            words.emplace_back(to_string(choice));
        }
        return any_of(words);
    }
    [[nodiscard]] std::optional<Enum> find(table_reader& table, std::string_view key, std::string const& text) const {
        for (auto const choice : choices) {
            if (text == to_string(choice)) {
                return choice;
            }
        }
        table.fail(key, in_quotes(text) + " is not known: expected " + expected());
        return std::nullopt;
    }
};
template <class Enum>
word(std::vector<Enum>) -> word<Enum>;

/// true, false or "auto", as to_string() of the enum writes them.
template <class Enum>
struct flag_or_auto : word<Enum> {
    [[nodiscard]] std::optional<Enum> read(table_reader& table, std::string_view key,
                                           std::filesystem::path const& /*folder*/) const {
        auto const text = table.boolean_or_auto(key);
        return text ? this->find(table, key, *text) : std::nullopt;
    }
    [[nodiscard]] key_form form() const { return {"true, false or \"auto\"", {}}; }
};

} // namespace seedbed::kind
