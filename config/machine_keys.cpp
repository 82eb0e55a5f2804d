#include <algorithm>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error_report.hpp"
#include "config/key.hpp"
#include "config/key_kinds.hpp"
#include "config/key_section.hpp"
#include "config/mac_address.hpp"
#include "config/order_keys.hpp"

namespace seedbed {

namespace {

/// The longest label of a host name (RFC 1035, 2.3.4).
constexpr std::size_t longest_machine_name = 63;
/// SMBIOS strings are short; vendors' serial numbers have at most some 30 characters.
constexpr std::size_t longest_dmi_serial = 128;

/// A name that can also be the machine's host name.
struct machine_name {
    [[nodiscard]] static std::optional<std::string> read(table_reader& table, std::string_view key,
                                                         std::filesystem::path const& /*folder*/) {
        table.require(key, "a unique name");
        auto name = table.text(key);
        auto const allowed = [](char c) {
            return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
        };
        if (name && (name->empty() || name->size() > longest_machine_name || !std::ranges::all_of(*name, allowed) ||
                     name->front() == '-' || name->back() == '-' || *name == "all")) {
            table.fail(key, in_quotes(*name) + " is not a host name: expected 1 to " +
                                std::to_string(longest_machine_name) +
                                " characters of A-Z a-z 0-9 -, without a hyphen at an end, and not \"all\"");
            return std::nullopt;
        }
        return name;
    }
    [[nodiscard]] static key_form form() { return {"text", "1 to 63 of A-Z a-z 0-9 -"}; }
};

struct mac_address {
    [[nodiscard]] static std::optional<std::string> read(table_reader& table, std::string_view key,
                                                         std::filesystem::path const& /*folder*/) {
        auto const text = table.text(key);
        if (!text) {
            return std::nullopt;
        }
        auto mac = parse_mac_address(*text);
        if (!mac) {
            table.fail(key, mac.error().message);
            return std::nullopt;
        }
        return std::move(*mac);
    }
    [[nodiscard]] static key_form form() { return {"MAC address", {}}; }
};

struct dmi_serial {
    [[nodiscard]] static std::optional<std::string> read(table_reader& table, std::string_view key,
                                                         std::filesystem::path const& /*folder*/) {
        auto serial = table.text(key);
        auto const printed = [](char c) { return c >= ' ' && c <= '~'; };
        if (serial && (serial->empty() || serial->size() > longest_dmi_serial ||
                       !std::ranges::all_of(*serial, printed) || serial->front() == ' ' || serial->back() == ' ')) {
            table.fail(key, in_quotes(*serial) + " is not a serial number: expected 1 to " +
                                std::to_string(longest_dmi_serial) + " printable characters, without blanks at an end");
            return std::nullopt;
        }
        return serial;
    }
    [[nodiscard]] static key_form form() { return {"text", {}}; }
};

using machine_key_list = std::vector<config_key<machine_settings>>;

machine_key_list make_machine_keys() {
    using part = machine_settings;
    using enum key_change;
    machine_key_list keys;
    key_section table(
        keys, "machine", [](auto& all) -> auto& { return all; });
    table.add("name", &part::name, machine_name{}, live, "required");
    table.add("mac", &part::mac, mac_address{}, live, "none");
    table.add("serial", &part::serial, dmi_serial{}, live, "none");
    key_section order(
        keys, "machine", [](auto& all) -> auto& { return all.order; });
    add_order_keys(order, "required");
    return keys;
}

} // namespace

std::vector<config_key<machine_settings>> const& machine_keys() {
    static auto const keys = make_machine_keys();
    return keys;
}

bool operator==(machine_settings const& a, machine_settings const& b) {
    return std::ranges::all_of(machine_keys(), [&](auto const& key) { return key.equal(a, b); });
}

} // namespace seedbed
