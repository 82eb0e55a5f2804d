#include "config/key_kinds.hpp"

#include <algorithm>
#include <bit>

#include "config/value_formats.hpp"
#include "core/device/disk_rule.hpp"
#include "core/foundation/byte_size.hpp"
#include "core/foundation/free_memory.hpp"

namespace seedbed::kind {

namespace {

/// The size of sun_path, less the suffix of the temporary name under which a socket is created.
constexpr std::size_t max_socket_path = 96;

std::string from_to(std::string const& min, std::string const& max) {
    return min + " to " + max;
}

std::string range_text(value_range<int> range) {
    return from_to(std::to_string(range.min), std::to_string(range.max));
}

/// Why a path cannot be used, or nothing.
std::optional<std::string> wrong_path(std::string const& text, std::filesystem::path const& path) {
    if (text.find('\0') != std::string::npos || text.find('\n') != std::string::npos) {
        return "a path can contain neither NUL nor newline";
    }
    if (text.empty() || !path.has_filename()) {
        return in_quotes(text) + " is not the path of a file";
    }
    return std::nullopt;
}

} // namespace

std::string any_of(std::vector<std::string> const& words) {
    std::string text;
    for (std::size_t i = 0; i < words.size(); ++i) {
        text += (i == 0 ? "" : i + 1 == words.size() ? " or " : ", ") + words[i];
    }
    return text;
}

// --- flag

std::optional<bool> flag::read(table_reader& table, std::string_view key,
                               std::filesystem::path const& /*folder*/) const {
    return table.boolean(key);
}

key_form flag::form() const {
    return {"true or false", {}};
}

std::string flag::text(bool value) const {
    return value ? "true" : "false";
}

// --- numbers

std::optional<int> number::read(table_reader& table, std::string_view key,
                                std::filesystem::path const& /*folder*/) const {
    auto const value = table.integer(key, {range.min, range.max});
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

key_form number::form() const {
    return {"number", range_text(range)};
}

std::string number::text(int value) const {
    return std::to_string(value);
}

std::optional<int> number_or_zero::read(table_reader& table, std::string_view key,
                                        std::filesystem::path const& /*folder*/) const {
    auto const value = table.integer(key, {0, range.max});
    if (value && *value != 0 && *value < range.min) {
        table.fail(key, std::to_string(*value) + " is out of range: " + form().range);
        return std::nullopt;
    }
    return value ? std::optional(static_cast<int>(*value)) : std::nullopt;
}

key_form number_or_zero::form() const {
    return {"number", "0 (no limit) or " + range_text(range)};
}

std::optional<int> power_of_two::read(table_reader& table, std::string_view key,
                                      std::filesystem::path const& folder) const {
    auto const value = number::read(table, key, folder);
    if (value && !std::has_single_bit(static_cast<unsigned>(*value))) {
        table.fail(key, std::to_string(*value) + " is not a power of two");
        return std::nullopt;
    }
    return value;
}

key_form power_of_two::form() const {
    return {"power of two", range_text(range)};
}

// --- sizes and durations

std::optional<std::int64_t> size::read(table_reader& table, std::string_view key,
                                       std::filesystem::path const& /*folder*/) const {
    return table.byte_size(key, range);
}

key_form size::form() const {
    return {"size", from_to(exact_size(range.min), exact_size(range.max))};
}

std::string size::text(std::int64_t value) const {
    return value == 0 ? "0" : exact_size(value);
}

std::optional<std::int64_t> size_or_share::read(table_reader& table, std::string_view key,
                                                std::filesystem::path const& folder) const {
    auto const text = table.peek_text(key);
    if (!text || !text->ends_with('%')) {
        return size::read(table, key, folder);
    }
    static_cast<void>(table.text(key)); // else the key counts as unknown
    auto const percent = parse_share(*text);
    if (!percent) {
        table.fail(key, percent.error().message);
        return std::nullopt;
    }
    auto const memory = total_memory();
    if (!memory) {
        table.fail(key, "the kernel does not report the size of the memory; expected a size, such as \"256 MiB\"");
        return std::nullopt;
    }
    return std::clamp(share_of(*memory, *percent), range.min, range.max);
}

key_form size_or_share::form() const {
    return {"size, or share of the memory such as \"25 %\"", size::form().range};
}

key_form rate::form() const {
    return {"size per second", "0 (no limit) to " + exact_size(range.max)};
}

std::optional<std::chrono::milliseconds> duration::read(table_reader& table, std::string_view key,
                                                        std::filesystem::path const& /*folder*/) const {
    return table.duration(key, range);
}

key_form duration::form() const {
    return {"duration", from_to(format_duration(range.min), format_duration(range.max))};
}

std::string duration::text(std::chrono::milliseconds value) const {
    return format_duration(value);
}

// --- addresses and paths

std::optional<std::vector<ip_endpoint>> listeners::read(table_reader& table, std::string_view key,
                                                        std::filesystem::path const& /*folder*/) const {
    auto listen = table.endpoints(key, table_reader::single_text::allowed);
    if (listen && listen->empty()) {
        table.fail(key, "empty: expected at least one ADDRESS:PORT");
        return std::nullopt;
    }
    return listen;
}

key_form listeners::form() const {
    return {"ADDRESS:PORT, one or a list", {}};
}

std::string listeners::text(std::vector<ip_endpoint> const& value) const {
    std::string text;
    for (auto const& each : value) {
        text += (text.empty() ? "" : ", ") + to_string(each);
    }
    return text;
}

std::optional<std::vector<ip_network>> networks::read(table_reader& table, std::string_view key,
                                                      std::filesystem::path const& /*folder*/) const {
    std::vector<ip_network> parsed;
    auto const check = [&parsed](std::string const& text) -> std::optional<error> {
        auto const network = parse_ip_network(text);
        if (!network) {
            return network.error();
        }
        parsed.push_back(*network);
        return std::nullopt;
    };
    if (!table.texts(key, check)) {
        return std::nullopt;
    }
    if (parsed.empty()) {
        table.fail(key, "empty: expected at least one network");
        return std::nullopt;
    }
    return parsed;
}

key_form networks::form() const {
    return {"list of networks", {}};
}

std::optional<std::string> path::read(table_reader& table, std::string_view key,
                                      std::filesystem::path const& folder) const {
    if (required) {
        table.require(key, "a path");
    }
    auto const text = table.text(key);
    if (!text) {
        return std::nullopt;
    }
    auto const absolute = (folder / *text).lexically_normal();
    if (auto const wrong = wrong_path(*text, absolute)) {
        table.fail(key, *wrong);
        return std::nullopt;
    }
    return absolute.string();
}

key_form path::form() const {
    return {"path", {}};
}

std::optional<std::string> socket_path::read(table_reader& table, std::string_view key,
                                             std::filesystem::path const& folder) const {
    auto text = table.text(key);
    if (!text || text->empty()) {
        return text;
    }
    auto const absolute = (folder / *text).lexically_normal();
    if (auto const wrong = wrong_path(*text, absolute)) {
        table.fail(key, *wrong);
        return std::nullopt;
    }
    if (absolute.string().size() > max_socket_path) {
        table.fail(key, in_quotes(absolute.string()) + " is too long: a socket's path has at most " +
                            std::to_string(max_socket_path) + " bytes");
        return std::nullopt;
    }
    return absolute.string();
}

key_form socket_path::form() const {
    return {"path", {}};
}

std::string socket_path::text(std::string const& value) const {
    return value;
}

// --- machines

std::optional<std::string> image_name::read(table_reader& table, std::string_view key,
                                            std::filesystem::path const& /*folder*/) const {
    if (required) {
        table.require(key, "the name of an image");
    }
    auto name = table.text(key);
    if (auto const wrong = name ? check_name_of_image(*name) : std::nullopt) {
        table.fail(key, wrong->message);
        return std::nullopt;
    }
    return name;
}

key_form image_name::form() const {
    return {"text", "the name of an image"};
}

std::optional<std::string> disk_rule::read(table_reader& table, std::string_view key,
                                           std::filesystem::path const& /*folder*/) const {
    auto rule = table.text(key);
    if (auto const parsed = rule ? parse_disk_rule(*rule) : seedbed::disk_rule(); !parsed) {
        table.fail(key, parsed.error().message);
        return std::nullopt;
    }
    return rule;
}

key_form disk_rule::form() const {
    return {"disk rule", {}};
}

std::string disk_rule::text(std::string const& value) const {
    return value;
}

std::optional<growth> grown_partition::read(table_reader& table, std::string_view key,
                                            std::filesystem::path const& /*folder*/) const {
    auto const text = table.text(key);
    if (!text) {
        return std::nullopt;
    }
    auto const parsed = parse_growth(*text);
    if (!parsed) {
        table.fail(key, in_quotes(*text) + ": " + parsed.error().message);
        return std::nullopt;
    }
    return *parsed;
}

key_form grown_partition::form() const {
    return {"partition", R"(a number, "last" or "none")"};
}

std::string grown_partition::text(growth const& value) const {
    return to_string(value);
}

} // namespace seedbed::kind
