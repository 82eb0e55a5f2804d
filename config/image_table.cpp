#include "config/image_table.hpp"

#include <algorithm>
#include <chrono>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <sys/stat.h>

#include "config/choice.hpp"
#include "config/value_formats.hpp"

namespace seedbed {

std::string read_path(table_reader& table, std::string_view key, std::filesystem::path const& folder) {
    table.require(key, "a path");
    auto const text = table.text(key);
    if (!text) {
        return {};
    }
    if (text->find('\0') != std::string::npos || text->find('\n') != std::string::npos) {
        table.fail(key, "a path may hold neither NUL nor newline");
        return {};
    }
    auto const path = (folder / *text).lexically_normal();
    if (text->empty() || !path.has_filename()) {
        table.fail(key, in_quotes(*text) + " is not the path of a file");
        return {};
    }
    return path.string();
}

namespace {

std::string read_name(table_reader& table) {
    table.require("name", "a name that no other image has");
    auto const name = table.text("name");
    if (!name) {
        return {};
    }
    if (auto const wrong = check_name_of_image(*name)) {
        table.fail("name", wrong->message);
        return {};
    }
    return *name;
}

std::optional<image_mode> read_mode(table_reader& table) {
    table.require("mode", "\"seed\" or \"deploy\"");
    auto const text = table.text("mode");
    if (!text) {
        return std::nullopt;
    }
    for (auto const mode : {image_mode::seed, image_mode::deploy}) {
        if (*text == to_string(mode)) {
            return mode;
        }
    }
    table.fail("mode", in_quotes(*text) + " is not a mode: expected \"seed\" or \"deploy\"");
    return std::nullopt;
}

/// When the pieces of a source are hashed: a text, where `verify` of a target is a boolean.
source_check read_source_check(table_reader& table) {
    return read_choice(table, "verify", table.text("verify"), source_check::lazy,
                       {source_check::lazy, source_check::full, source_check::none});
}

target_check read_target_check(table_reader& table, std::optional<image_mode> mode) {
    if (table.has("check") && mode && *mode != image_mode::deploy) {
        table.fail("check", "only for mode \"deploy\"");
    }
    return read_choice(table, "check", table.text("check"), target_check::resume,
                       {target_check::resume, target_check::full, target_check::none});
}

std::optional<storage_class> read_class(table_reader& table) {
    auto const text = table.text("profile");
    if (!text) {
        return std::nullopt;
    }
    auto const cls = parse_storage_class(*text);
    if (!cls) {
        table.fail("profile", in_quotes(*text) + " is not a profile: expected \"hdd\", \"sata_ssd\" or \"nvme\"");
    }
    return cls;
}

std::optional<std::string> read_serial(table_reader& table) {
    auto const serial = table.text("serial");
    if (serial && serial->empty()) {
        table.fail("serial", "empty: leave the key out if the serial number does not matter");
    }
    return serial;
}

std::optional<error> check_peer(std::string const& text) {
    auto const peer = parse_endpoint(text);
    return peer ? std::nullopt : std::optional(peer.error());
}

/// A count, or a list of addresses that differ.
void read_expect(table_reader& table, fleet_settings& fleet) {
    constexpr value_range<std::int64_t> any_count{1, 100'000};
    if (!table.has_list("expect")) {
        if (auto const count = table.integer("expect", any_count)) {
            fleet.expect = static_cast<int>(*count);
        }
        return;
    }
    std::vector<std::string> hosts;
    auto const check = [&hosts](std::string const& text) -> std::optional<error> {
        auto const host = parse_host_address(text);
        if (!host) {
            return host.error();
        }
        if (std::ranges::find(hosts, *host) != hosts.end()) {
            return error{in_quotes(text) + " stands there twice"};
        }
        hosts.push_back(*host);
        return std::nullopt;
    };
    auto const listed = table.texts("expect", check);
    if (listed && listed->empty()) {
        table.fail("expect", "empty: expected a number of hosts or at least one address");
    }
    fleet.expect_hosts = std::move(hosts);
}

std::vector<std::string> read_on_complete(table_reader& table, std::filesystem::path const& folder) {
    auto const check = [](std::string const& text) -> std::optional<error> {
        return text.find('\0') == std::string::npos ? std::nullopt : std::optional(error{"no argument may hold a NUL"});
    };
    auto command =
        table.texts("on_complete", check, table_reader::single_text::allowed).value_or(std::vector<std::string>{});
    if (!table.has("on_complete")) {
        return {};
    }
    if (!table.has("expect")) {
        table.fail("on_complete", "never runs without expect, which tells when a deployment is complete");
    }
    if (command.empty()) {
        return {};
    }
    auto const program = (folder / command.front()).lexically_normal();
    if (command.front().empty() || !program.has_filename()) {
        table.fail("on_complete", in_quotes(command.front()) + " is not the path of a program");
    }
    command.front() = program.string();
    return command;
}

fleet_settings read_fleet(table_reader& table, std::filesystem::path const& folder) {
    constexpr value_range<std::chrono::milliseconds> any_timeout{std::chrono::seconds(1), std::chrono::hours(24)};
    fleet_settings fleet;
    read_expect(table, fleet);
    fleet.on_complete = read_on_complete(table, folder);
    fleet.on_complete_timeout = table.duration("on_complete_timeout", any_timeout).value_or(fleet.on_complete_timeout);
    return fleet;
}

/// A boolean that has a meaning in one mode only; where it has none it is a mistake about what the image does.
bool read_flag(table_reader& table, std::string_view key, bool preset, image_mode belongs_to,
               std::optional<image_mode> mode) {
    auto const flag = table.boolean(key);
    if (table.has(key) && mode && *mode != belongs_to) {
        table.fail(key, std::string("only for mode \"") + to_string(belongs_to) + "\"");
    }
    return flag.value_or(preset);
}

/// What a path leads to: the device of a node in /dev, whatever the node is called, or else the file.
using file_identity = std::tuple<bool, dev_t, ino_t>;

std::optional<file_identity> identify(std::string const& path) {
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0) {
        return std::nullopt;
    }
    if (S_ISBLK(status.st_mode)) {
        return file_identity{true, status.st_rdev, 0};
    }
    return file_identity{false, status.st_dev, status.st_ino};
}

/// Finds values of one key that occur twice.
class duplicates {
public:
    duplicates(std::string key, error_report& report)
        : m_key(std::move(key))
        , m_report(report) {}

    void add_text(std::string const& text, config_place const& place) {
        auto const [first, added] = m_texts.try_emplace(text, place);
        if (!text.empty() && !added) {
            m_report.add(place, m_key, in_quotes(text) + " is already at " + first->second.text());
        }
    }

    void add_path(std::string const& path, config_place const& place) {
        auto const known = m_texts.contains(path);
        add_text(path, place);
        auto const identity = path.empty() || known ? std::nullopt : identify(path);
        if (!identity) {
            return;
        }
        auto const [first, added] = m_files.try_emplace(*identity, place);
        if (!added) {
            m_report.add(place, m_key, in_quotes(path) + " is the same file as at " + first->second.text());
        }
    }

private:
    std::string m_key;
    error_report& m_report;
    std::map<std::string, config_place> m_texts;
    std::map<file_identity, config_place> m_files;
};

} // namespace

image_table read_image(table_reader& table, std::filesystem::path const& folder) {
    constexpr value_range<std::int64_t> any_size{1, std::numeric_limits<std::int64_t>::max()};
    image_settings image;
    image.origin = table.place().text();
    image.name = read_name(table);
    image.torrent = read_path(table, "torrent", folder);
    image.device = read_path(table, "device", folder);
    auto const mode = read_mode(table);
    image.mode = mode.value_or(image.mode);
    image.profile = read_class(table);
    image.peers = table.texts("peers", check_peer).value_or(image.peers);
    image.trackers = table.texts("trackers", check_tracker_url).value_or(image.trackers);
    image.serial = read_serial(table);
    image.size = table.byte_size("size", any_size);
    image.allow_mounted = read_flag(table, "allow_mounted", image.allow_mounted, image_mode::seed, mode);
    if (mode == image_mode::seed) {
        image.verify_source = read_source_check(table);
    } else {
        image.verify = table.boolean("verify").value_or(image.verify);
    }
    image.check = read_target_check(table, mode);
    image.upload_limit = table.byte_size("upload_limit", rate_limit_range).value_or(image.upload_limit);
    image.super_seeding = read_flag(table, "super_seeding", image.super_seeding, image_mode::seed, mode);
    image.fleet = read_fleet(table, folder);
    table.finish();
    return {std::move(image), table.place_of("name"), table.place_of("torrent"), table.place_of("device")};
}

void report_duplicates(std::vector<image_table> const& images, error_report& report) {
    duplicates names("image.name", report);
    duplicates torrents("image.torrent", report);
    duplicates devices("image.device", report);
    for (auto const& each : images) {
        names.add_text(each.image.name, each.name);
        torrents.add_path(each.image.torrent, each.torrent);
        devices.add_path(each.image.device, each.device);
    }
}

} // namespace seedbed
