#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "config/error_report.hpp"
#include "config/key.hpp"
#include "config/key_kinds.hpp"
#include "config/key_section.hpp"
#include "config/value_formats.hpp"

namespace seedbed {

namespace {

using folder_path = std::filesystem::path;

// The kinds of value that occur only in image tables.

struct image_name {
    [[nodiscard]] static std::optional<std::string> read(table_reader& table, std::string_view key,
                                                         folder_path const& /*folder*/) {
        table.require(key, "a unique name");
        auto name = table.text(key);
        if (auto const wrong = name ? check_name_of_image(*name) : std::nullopt) {
            table.fail(key, wrong->message);
            return std::nullopt;
        }
        return name;
    }
    [[nodiscard]] static key_form form() { return {"text", "1 to 64 of A-Z a-z 0-9 . _ -"}; }
};

struct serial_number {
    [[nodiscard]] static std::optional<std::string> read(table_reader& table, std::string_view key,
                                                         folder_path const& /*folder*/) {
        auto serial = table.text(key);
        if (serial && serial->empty()) {
            table.fail(key, "empty: leave the key out if the serial number does not matter");
            return std::nullopt;
        }
        return serial;
    }
    [[nodiscard]] static key_form form() { return {"text", {}}; }
};

struct peer_list {
    [[nodiscard]] static std::optional<std::vector<ip_endpoint>> read(table_reader& table, std::string_view key,
                                                                      folder_path const& /*folder*/) {
        return table.endpoints(key);
    }
    [[nodiscard]] static key_form form() { return {"list of ADDRESS:PORT", {}}; }
};

struct tracker_list {
    [[nodiscard]] static std::optional<std::vector<std::string>> read(table_reader& table, std::string_view key,
                                                                      folder_path const& /*folder*/) {
        return table.texts(key, check_tracker_url);
    }
    [[nodiscard]] static key_form form() { return {"list of URLs", "http, https or udp"}; }
};

/// A number of hosts, or a list of their distinct addresses.
struct expected_hosts {
    using value = std::tuple<std::optional<int>, std::vector<ip_address>>;
    static constexpr value_range<std::int64_t> range{1, 100'000};

    [[nodiscard]] static std::optional<value> read(table_reader& table, std::string_view key,
                                                   folder_path const& /*folder*/) {
        if (!table.has_list(key)) {
            auto const count = table.integer(key, range);
            return count ? std::optional(value(static_cast<int>(*count), {})) : std::nullopt;
        }
        std::vector<ip_address> hosts;
        auto const check = [&hosts](std::string const& text) -> std::optional<error> {
            auto const host = parse_ip_address(text);
            if (!host) {
                return host.error();
            }
            if (std::ranges::find(hosts, *host) != hosts.end()) {
                return error{in_quotes(text) + " is listed twice"};
            }
            hosts.push_back(*host);
            return std::nullopt;
        };
        auto const listed = table.texts(key, check);
        if (listed && listed->empty()) {
            table.fail(key, "empty: expected a number of hosts or at least one address");
        }
        return value(std::nullopt, std::move(hosts));
    }
    [[nodiscard]] static key_form form() {
        return {"number or list of addresses", std::to_string(range.min) + " to " + std::to_string(range.max)};
    }
};

/// A program, or a list of a program and its arguments.
struct command_line {
    [[nodiscard]] static std::optional<std::vector<std::string>> read(table_reader& table, std::string_view key,
                                                                      folder_path const& folder) {
        auto const check = [](std::string const& text) -> std::optional<error> {
            return text.find('\0') == std::string::npos ? std::nullopt
                                                        : std::optional(error{"an argument cannot contain NUL"});
        };
        auto command = table.texts(key, check, table_reader::single_text::allowed);
        if (!command || command->empty()) {
            return command;
        }
        auto& program = command->front();
        auto const path = (folder / program).lexically_normal();
        if (program.empty() || !path.has_filename()) {
            table.fail(key, in_quotes(program) + " is not the path of a program");
            return std::nullopt;
        }
        program = path.string();
        return command;
    }
    [[nodiscard]] static key_form form() { return {"path, or list of path and arguments", {}}; }
};

using enum key_change;
using image_key_list = std::vector<config_key<image_settings>>;

void add_identity(image_key_list& keys) {
    using part = image_settings;
    key_section table(
        keys, "image", [](auto& all) -> auto& { return all; });
    table.add("name", &part::name, image_name{}, reopen, "required");
    table.add("torrent", &part::torrent, kind::path{.required = true}, reopen, "required");
    table.add("device", &part::device, kind::path{.required = true}, reopen, "required");
    table.add("mode", &part::mode,
              kind::word<image_mode>{.choices = {image_mode::seed, image_mode::deploy}, .required = true}, reopen,
              "required");
}

void add_swarm_and_device(image_key_list& keys) {
    using part = image_settings;
    constexpr std::int64_t any_size = std::numeric_limits<std::int64_t>::max();
    key_section table(
        keys, "image", [](auto& all) -> auto& { return all; });
    table.add("profile", &part::profile,
              kind::word<storage_class>{{storage_class::hdd, storage_class::sata_ssd, storage_class::nvme}}, live,
              "detected");
    table.add("peers", &part::peers, peer_list{}, live, "none");
    table.add("trackers", &part::trackers, tracker_list{}, live, "none");
    table.add("serial", &part::serial, serial_number{}, reopen, "any");
    table.add("size", &part::size, kind::size{{1, any_size}}, reopen, "any");
    table.add("allow_mounted", &part::allow_mounted, kind::flag{}, reopen).only = image_mode::seed;
    table.add("wipe_signatures", &part::wipe_signatures, kind::flag{}, reopen).only = image_mode::deploy;
    table.add("allow_mismatch", &part::allow_mismatch, kind::flag{}, reopen).only = image_mode::deploy;
    table
        .add("verify", &part::verify_source,
             kind::word<source_check>{{source_check::lazy, source_check::full, source_check::none}}, reopen)
        .only = image_mode::seed;
    table.add("verify", &part::verify, kind::flag{}, live).only = image_mode::deploy;
    table
        .add("check", &part::check,
             kind::word<target_check>{{target_check::resume, target_check::full, target_check::none}}, live)
        .only = image_mode::deploy;
    table.add("upload_limit", &part::upload_limit, kind::rate{}, live);
    table.add("super_seeding", &part::super_seeding, kind::flag{}, live).only = image_mode::seed;
}

void add_fleet(image_key_list& keys) {
    using part = fleet_settings;
    key_section table(
        keys, "image", [](auto& all) -> auto& { return all.fleet; });
    auto const expect = [](auto& fleet) { return std::tie(fleet.expect, fleet.expect_hosts); };
    table.add("expect", expect, expected_hosts{}, live, "any number");
    table.add("on_complete", &part::on_complete, command_line{}, live, "none");
    table.add("on_complete_timeout", &part::on_complete_timeout,
              kind::duration{{std::chrono::seconds(1), std::chrono::hours(24)}}, live);
}

image_key_list make_image_keys() {
    image_key_list keys;
    add_identity(keys);
    add_swarm_and_device(keys);
    add_fleet(keys);
    return keys;
}

} // namespace

std::vector<config_key<image_settings>> const& image_keys() {
    static auto const keys = make_image_keys();
    return keys;
}

bool operator==(image_settings const& a, image_settings const& b) {
    return std::ranges::all_of(image_keys(), [&](auto const& key) { return key.equal(a, b); });
}

} // namespace seedbed
