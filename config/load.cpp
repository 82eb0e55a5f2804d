#include "config/load.hpp"

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <deque>
#include <iterator>
#include <map>
#include <system_error>
#include <utility>

#include "config/choice.hpp"
#include "config/config_file.hpp"
#include "config/error_report.hpp"
#include "config/image_table.hpp"
#include "config/table_reader.hpp"
#include "config/toml_document.hpp"
#include "config/value_formats.hpp"

namespace seedbed {

namespace {

constexpr value_range<std::int64_t> pool_range{16LL << 20, 1LL << 40};
constexpr value_range<std::int64_t> cache_range{0, 1LL << 40};
constexpr value_range<std::int64_t> hash_threads_range{1, 1024};
constexpr value_range<std::int64_t> connections_range{1, 65535};
constexpr value_range<std::int64_t> upload_slots_range{2, 65535};
constexpr value_range<std::int64_t> shards_range{1, 16};
constexpr value_range<std::chrono::milliseconds> resume_interval_range{std::chrono::milliseconds(0),
                                                                       std::chrono::hours(1)};
/// libtorrent takes the size of a .torrent file as an int.
constexpr value_range<std::int64_t> max_torrent_range{1LL << 20, (1LL << 31) - 1};
/// What sun_path holds, but for the end of the name under which a socket is made first.
constexpr std::size_t max_socket_path = 96;

constexpr value_range<std::int64_t> peers_range{1, 1'000'000};
constexpr value_range<std::int64_t> numwant_range{1, 2'000};
constexpr value_range<std::int64_t> max_request_range{1 << 10, 64 << 10};
constexpr value_range<std::chrono::milliseconds> interval_range{std::chrono::seconds(1), std::chrono::hours(1)};

/// The endpoints to listen on, which differ from each other; nothing where none is valid or the key is not there.
std::optional<std::vector<std::string>> read_listen(table_reader& table) {
    std::map<endpoint, std::string> seen;
    auto const check = [&seen](std::string const& text) -> std::optional<error> {
        auto const parsed = parse_endpoint(text);
        if (!parsed) {
            return parsed.error();
        }
        auto const [first, added] = seen.try_emplace(*parsed, text);
        return added ? std::nullopt
                     : std::optional(error{in_quotes(text) + " is the same as " + in_quotes(first->second)});
    };
    auto const listen = table.texts("listen", check, table_reader::single_text::allowed);
    if (listen && listen->empty()) {
        table.fail("listen", "empty: expected at least one ADDRESS:PORT");
    }
    return listen;
}

bool is_wildcard(endpoint const& at) {
    return std::ranges::all_of(at.address, [](auto byte) { return byte == 0; });
}

void read_network(table_reader& table, network_settings& network) {
    network.listen = read_listen(table).value_or(network.listen);
    network.local_discovery = table.boolean("local_discovery").value_or(network.local_discovery);
    network.upload_limit = table.byte_size("upload_limit", rate_limit_range).value_or(network.upload_limit);
    network.download_limit = table.byte_size("download_limit", rate_limit_range).value_or(network.download_limit);
    network.connections =
        static_cast<int>(table.integer("connections", connections_range).value_or(network.connections));
    // libtorrent gives one of them to each peer in turn: with a single one, nobody would have it for long.
    if (auto const slots = table.integer("upload_slots", {0, upload_slots_range.max})) {
        network.upload_slots = static_cast<int>(*slots);
        if (*slots != 0 && *slots < upload_slots_range.min) {
            table.fail("upload_slots", "1 is too few: expected 0 (no limit) or 2 to 65535");
        }
    }
    network.slow_start = table.boolean("slow_start").value_or(network.slow_start);
    network.read_once = table.boolean("read_once").value_or(network.read_once);
    network.shards = static_cast<int>(table.integer("shards", shards_range).value_or(network.shards));
    if (auto const why = why_no_shards(network)) {
        table.fail("shards", *why);
    }
    table.finish();
}

void read_tracker(table_reader& table, tracker_settings& tracker) {
    auto const number = [&table](std::string_view key, value_range<std::int64_t> range, int preset) {
        return static_cast<int>(table.integer(key, range).value_or(preset));
    };
    tracker.enabled = table.boolean("enabled").value_or(tracker.enabled);
    tracker.listen = read_listen(table);
    tracker.interval = table.duration("interval", interval_range).value_or(tracker.interval);
    tracker.min_interval =
        table.duration("min_interval", interval_range).value_or(std::min(tracker.min_interval, tracker.interval));
    if (tracker.min_interval > tracker.interval) {
        table.fail("min_interval", format_duration(tracker.min_interval) + " is longer than the interval, " +
                                       format_duration(tracker.interval));
    }
    tracker.peers_per_image = number("peers_per_image", peers_range, tracker.peers_per_image);
    tracker.peers = number("peers", peers_range, tracker.peers);
    tracker.numwant = number("numwant", numwant_range, tracker.numwant);
    tracker.max_request = table.byte_size("max_request", max_request_range).value_or(tracker.max_request);
    table.finish();
}

void read_memory(table_reader& table, memory_settings& memory) {
    memory.pool = table.byte_size("pool", pool_range).value_or(memory.pool);
    memory.cache = table.byte_size("cache", cache_range);
    memory.cache_shards = static_cast<int>(table.integer("cache_shards", {1, 1024}).value_or(memory.cache_shards));
    if (!std::has_single_bit(static_cast<unsigned>(memory.cache_shards))) {
        table.fail("cache_shards", std::to_string(memory.cache_shards) + " is not a power of two");
    }
    memory.huge_pages = table.boolean("huge_pages").value_or(memory.huge_pages);
    memory.max_torrent = table.byte_size("max_torrent", max_torrent_range).value_or(memory.max_torrent);
    table.finish();
}

void read_hashing(table_reader& table, hashing_settings& hashing) {
    if (auto const threads = table.integer("threads", hash_threads_range)) {
        hashing.threads = static_cast<int>(*threads);
    }
    hashing.ahead = table.boolean("ahead").value_or(hashing.ahead);
    table.finish();
}

void read_resume(table_reader& table, resume_settings& resume, std::filesystem::path const& folder) {
    resume.interval = table.duration("interval", resume_interval_range).value_or(resume.interval);
    if (table.has("folder")) {
        resume.folder = read_path(table, "folder", folder);
    }
    table.finish();
}

/// An absolute path of a socket, or nothing where there shall be none.
std::optional<std::string> read_socket(table_reader& table, std::filesystem::path const& folder) {
    auto const text = table.text("socket");
    if (!text || text->empty()) {
        return text;
    }
    auto const path = (folder / *text).lexically_normal();
    if (text->find('\0') != std::string::npos || text->find('\n') != std::string::npos) {
        table.fail("socket", "a path may hold neither NUL nor newline");
    } else if (!path.has_filename()) {
        table.fail("socket", in_quotes(*text) + " is not the path of a file");
    } else if (path.string().size() > max_socket_path) {
        table.fail("socket", in_quotes(path.string()) + " is too long: a socket's path has at most " +
                                 std::to_string(max_socket_path) + " bytes");
    }
    return path.string();
}

void read_control(table_reader& table, std::filesystem::path const& folder, control_settings& control) {
    control.socket = read_socket(table, folder).value_or(control.socket);
    table.finish();
}

void read_metrics(table_reader& table, metrics_settings& metrics) {
    metrics.listen = read_listen(table).value_or(metrics.listen);
    table.finish();
}

log_level read_level(table_reader& table, log_level preset) {
    return read_choice(table, "level", table.text("level"), preset,
                       {log_level::error, log_level::warning, log_level::info, log_level::debug, log_level::trace});
}

void read_log(table_reader& table, log_settings& log) {
    log.level = read_level(table, log.level);
    table.finish();
}

void read_profile(table_reader& table, io_profile& profile) {
    using namespace io_profile_limits;
    profile.threads = static_cast<int>(table.integer("threads", {min_threads, max_threads}).value_or(profile.threads));
    profile.coalesce = table.byte_size("coalesce", {min_coalesce, max_coalesce}).value_or(profile.coalesce);
    profile.delay = table.duration("delay", {min_delay, max_delay}).value_or(profile.delay);
    profile.queue_depth = static_cast<int>(
        table.integer("queue_depth", {min_queue_depth, max_queue_depth}).value_or(profile.queue_depth));
    profile.direct_io = read_choice(table, "direct_io", table.boolean_or_auto("direct_io"), profile.direct_io,
                                    {direct_io_mode::automatic, direct_io_mode::on, direct_io_mode::off});
    profile.io_engine = read_choice(table, "io_engine", table.text("io_engine"), profile.io_engine,
                                    {io_engine_kind::automatic, io_engine_kind::threads, io_engine_kind::io_uring});
    profile.read_ahead = table.byte_size("read_ahead", {min_read_ahead, max_read_ahead}).value_or(profile.read_ahead);
    table.finish();
}

void read_profiles(table_reader& table, settings& into) {
    for (auto const cls : {storage_class::hdd, storage_class::sata_ssd, storage_class::nvme}) {
        if (auto profile = table.table(to_string(cls))) {
            read_profile(*profile, into.profiles[static_cast<std::size_t>(cls)]);
        }
    }
    table.finish();
}

/// What a file may set.
enum class file_scope : std::uint8_t { everything, images };

/// Puts one configuration together from its files.
class loader {
public:
    /// \param path of the file, of which its folder is where relative paths start.
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

    void add_folder(std::filesystem::path const& folder) {
        auto const files = list_toml_files(folder);
        if (!files) {
            m_report.add(new_source(folder), files.error().message);
            return;
        }
        for (auto const& file : *files) {
            add_file(file, file_scope::images);
        }
    }

    [[nodiscard]] result<settings, config_errors> finish() {
        report_duplicates(m_images, m_report);
        if (!m_report.empty()) {
            return tl::unexpected(config_errors{m_report.take_lines()});
        }
        for (auto& each : m_images) {
            m_settings.images.push_back(std::move(each.image));
        }
        return std::move(m_settings);
    }

private:
    config_source const& new_source(std::filesystem::path const& path) {
        return m_sources.emplace_back(config_source{m_sources.size(), path.string()});
    }

    void read_root(table_reader& root, std::filesystem::path const& folder, file_scope scope) {
        for (auto& table : root.tables("image")) {
            m_images.push_back(read_image(table, folder));
        }
        if (scope == file_scope::images) {
            root.finish("only [[image]] may stand in this folder's files");
            return;
        }
        read_section(root, "network", [this](auto& table) { read_network(table, m_settings.network); });
        read_section(root, "tracker", [this](auto& table) { read_tracker(table, m_settings.tracker); });
        read_section(root, "memory", [this](auto& table) { read_memory(table, m_settings.memory); });
        read_section(root, "hashing", [this](auto& table) { read_hashing(table, m_settings.hashing); });
        read_section(root, "resume", [this, &folder](auto& table) { read_resume(table, m_settings.resume, folder); });
        read_section(root, "control", [&](auto& table) { read_control(table, folder, m_settings.control); });
        read_section(root, "metrics", [this](auto& table) { read_metrics(table, m_settings.metrics); });
        read_section(root, "log", [this](auto& table) { read_log(table, m_settings.log); });
        read_section(root, "profile", [this](auto& table) { read_profiles(table, m_settings); });
        root.finish();
    }

    template <class Read>
    void read_section(table_reader& root, std::string_view key, Read read) {
        if (auto table = root.table(key)) {
            read(*table);
        }
    }

    settings m_settings;
    std::vector<image_table> m_images;
    std::deque<config_source> m_sources; ///< a deque: places point into it
    error_report m_report;
};

} // namespace

result<settings, config_errors> load_settings(std::filesystem::path const& file, bool required) {
    loader load;
    if (required || !is_missing(file)) {
        load.add_file(file, file_scope::everything);
    }
    load.add_folder(file.parent_path() / "images.d");
    return load.finish();
}

result<settings, config_errors> parse_settings(std::string const& text, std::string const& name) {
    loader load;
    load.add_text(text, name, file_scope::everything);
    return load.finish();
}

std::optional<std::string> why_no_shards(network_settings const& network) {
    auto const ports = std::to_string(network.shards) + " consecutive ports";
    std::vector<endpoint> listeners;
    for (auto const& text : network.listen) {
        if (auto const parsed = parse_endpoint(text)) {
            listeners.push_back(*parsed);
        }
    }
    for (auto const& each : listeners) {
        if (each.port + network.shards - 1 > 65535) {
            return "there are no " + ports + " from " + std::to_string(each.port) + " on";
        }
    }
    for (auto one = listeners.begin(); one != listeners.end(); ++one) {
        auto const overlaps = [&](endpoint const& other) {
            return one->v6 == other.v6 && std::abs(one->port - other.port) < network.shards &&
                   (one->address == other.address || is_wildcard(*one) || is_wildcard(other));
        };
        if (network.shards > 1 && std::any_of(std::next(one), listeners.end(), overlaps)) {
            return "addresses of listen are too close to each other for " + ports + " each";
        }
    }
    if (network.connections < network.shards) {
        return "more than there may be connections, " + std::to_string(network.connections);
    }
    return std::nullopt;
}

} // namespace seedbed
