#include "config/load.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <deque>
#include <iterator>
#include <system_error>
#include <utility>

#include "config/config_file.hpp"
#include "config/error_report.hpp"
#include "config/image_table.hpp"
#include "config/key.hpp"
#include "config/machine_table.hpp"
#include "config/table_reader.hpp"
#include "config/toml_document.hpp"
#include "config/value_formats.hpp"

namespace seedbed {

namespace {

void check_network(table_reader& table, network_settings const& network) {
    if (auto const why = why_no_shards(network)) {
        table.fail("shards", *why);
    }
}

void check_tracker(table_reader& table, tracker_settings& tracker) {
    if (!table.has("min_interval")) {
        tracker.min_interval = std::min(tracker.min_interval, tracker.interval);
    }
    if (tracker.min_interval > tracker.interval) {
        table.fail("min_interval", format_duration(tracker.min_interval) + " is longer than the interval, " +
                                       format_duration(tracker.interval));
    }
}

/// Reads the keys of one table, named as in daemon_keys().
void read_table(table_reader& table, std::string_view name, std::filesystem::path const& folder, settings& into) {
    for (auto const& key : daemon_keys()) {
        if (key.table == name) {
            key.read(table, folder, into);
        }
    }
    if (name == "network") {
        check_network(table, into.network);
    } else if (name == "tracker") {
        check_tracker(table, into.tracker);
    }
    table.finish();
}

/// The tables of daemon_keys(), in their order, except for the profiles.
std::vector<std::string_view> plain_tables() {
    std::vector<std::string_view> tables;
    for (auto const& key : daemon_keys()) {
        if (!key.table.starts_with("profile.") && std::ranges::find(tables, key.table) == tables.end()) {
            tables.emplace_back(key.table);
        }
    }
    return tables;
}

void read_profiles(table_reader& profiles, std::filesystem::path const& folder, settings& into) {
    for (auto const cls : {storage_class::hdd, storage_class::sata_ssd, storage_class::nvme}) {
        if (auto table = profiles.table(to_string(cls))) {
            read_table(*table, std::string("profile.") + to_string(cls), folder, into);
        }
    }
    profiles.finish();
}

/// The tables that a file may contain.
enum class file_scope : std::uint8_t { everything, images, machines };

/// Assembles one configuration from its files.
class loader {
public:
    /// \param path of the file; relative paths start at its folder.
    void add_text(std::string_view text, std::filesystem::path const& path, file_scope scope) {
        auto const& source = new_source(path);
        std::error_code failed;
        auto const folder = std::filesystem::absolute(path, failed).parent_path();
        if (failed) {
            m_report.add(source, errno_error(path.string(), failed.value()).message);
            return;
        }
        if (auto const document = parse_toml(text, source, m_report)) {
            table_reader root(*document, {}, {&source, 1}, m_report);
            read_root(root, folder, scope);
        }
    }

    void add_file(std::filesystem::path const& path, file_scope scope) {
        if (auto const text = read_config_file(path)) {
            add_text(*text, path, scope);
        } else {
            m_report.add(new_source(path), text.error().message);
        }
    }

    /// \param except a file that is not read.
    void add_folder(std::filesystem::path const& folder, file_scope scope, std::filesystem::path const& except = {}) {
        auto const files = list_toml_files(folder);
        if (!files) {
            m_report.add(new_source(folder), files.error().message);
            return;
        }
        for (auto const& file : *files) {
            if (file != except) {
                add_file(file, scope);
            }
        }
    }

    [[nodiscard]] result<settings, config_errors> finish() {
        report_duplicates(m_images, m_report);
        check_machines(m_machines, m_images, m_report);
        if (!m_report.empty()) {
            return tl::unexpected(config_errors{m_report.take_lines()});
        }
        for (auto& each : m_images) {
            m_settings.images.push_back(std::move(each.image));
        }
        for (auto& each : m_machines) {
            m_settings.machines.push_back(std::move(each.machine));
        }
        return std::move(m_settings);
    }

private:
    config_source const& new_source(std::filesystem::path const& path) {
        return m_sources.emplace_back(config_source{m_sources.size(), path.string()});
    }

    void read_root(table_reader& root, std::filesystem::path const& folder, file_scope scope) {
        if (scope != file_scope::machines) {
            for (auto& table : root.tables("image")) {
                m_images.push_back(read_image(table, folder));
            }
        }
        if (scope != file_scope::images) {
            for (auto& table : root.tables("machine")) {
                m_machines.push_back(read_machine(table));
            }
        }
        if (scope != file_scope::everything) {
            root.finish(scope == file_scope::images ? "only [[image]] tables are allowed in this folder's files"
                                                    : "only [[machine]] tables are allowed in this folder's files");
            return;
        }
        for (auto const name : plain_tables()) {
            if (auto table = root.table(name)) {
                read_table(*table, name, folder, m_settings);
            }
        }
        if (auto profiles = root.table("profile")) {
            read_profiles(*profiles, folder, m_settings);
        }
        root.finish();
    }

    settings m_settings;
    std::vector<image_table> m_images;
    std::vector<machine_table> m_machines;
    std::deque<config_source> m_sources; ///< a deque, because places point to its elements
    error_report m_report;
};

} // namespace

std::filesystem::path images_folder(std::filesystem::path const& file) {
    return file.parent_path() / "images.d";
}

result<settings, config_errors> load_settings(std::filesystem::path const& file, bool required) {
    loader load;
    if (required || !is_missing(file)) {
        load.add_file(file, file_scope::everything);
    }
    load.add_folder(images_folder(file), file_scope::images);
    load.add_folder(file.parent_path() / "machines.d", file_scope::machines);
    return load.finish();
}

result<settings, config_errors> load_changed_settings(std::filesystem::path const& file, bool required,
                                                      config_change const& change) {
    loader load;
    if (required || !is_missing(file)) {
        load.add_file(file, file_scope::everything);
    }
    load.add_folder(images_folder(file), file_scope::images, change.path);
    load.add_folder(file.parent_path() / "machines.d", file_scope::machines);
    if (change.text) {
        load.add_text(*change.text, change.path, file_scope::images);
    }
    return load.finish();
}

result<settings, config_errors> check_machine_file(std::filesystem::path const& file, bool required,
                                                   std::filesystem::path const& written, std::string const& text,
                                                   std::filesystem::path const& name) {
    loader load;
    if (required || !is_missing(file)) {
        load.add_file(file, file_scope::everything);
    }
    load.add_folder(images_folder(file), file_scope::images);
    load.add_folder(file.parent_path() / "machines.d", file_scope::machines, written);
    load.add_text(text, name, file_scope::machines);
    return load.finish();
}

result<settings, config_errors> parse_settings(std::string const& text, std::string const& name) {
    loader load;
    load.add_text(text, name, file_scope::everything);
    return load.finish();
}

std::optional<std::string> why_no_shards(network_settings const& network) {
    auto const ports = std::to_string(network.shards) + " consecutive ports";
    auto const& listen = network.listen;
    for (auto const& each : listen) {
        if (each.port + network.shards - 1 > 65535) {
            return "no " + ports + " from " + std::to_string(each.port) + " on";
        }
    }
    for (auto one = listen.begin(); one != listen.end(); ++one) {
        auto const overlaps = [&](ip_endpoint const& other) {
            return one->address.v6 == other.address.v6 && std::abs(one->port - other.port) < network.shards &&
                   (one->address == other.address || one->address.is_any() || other.address.is_any());
        };
        if (network.shards > 1 && std::any_of(std::next(one), listen.end(), overlaps)) {
            return "the ports of listen are too close for " + ports + " each";
        }
    }
    if (network.connections < network.shards) {
        return "more shards than connections, " + std::to_string(network.connections);
    }
    return std::nullopt;
}

} // namespace seedbed
