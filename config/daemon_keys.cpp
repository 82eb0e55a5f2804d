#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "config/key.hpp"
#include "config/key_kinds.hpp"
#include "config/key_section.hpp"
#include "config/order_keys.hpp"

namespace seedbed {

namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;
using daemon_key_list = std::vector<config_key<settings>>;
using enum key_change;
constexpr std::int64_t kib = 1LL << 10;
constexpr std::int64_t mib = 1LL << 20;
constexpr std::int64_t tib = 1LL << 40;
/// libtorrent stores the size of a .torrent file in an int.
constexpr std::int64_t max_torrent_size = (1LL << 31) - 1;

void add_network(daemon_key_list& keys) {
    using part = network_settings;
    key_section table(
        keys, "network", [](auto& all) -> auto& { return all.network; });
    table.add("listen", &part::listen, kind::listeners{}, live);
    table.add("allow", &part::allow, kind::networks{}, live, "every address");
    table.add("secret_file", &part::secret_file, kind::path{}, restart, "none");
    table.add("local_discovery", &part::local_discovery, kind::flag{}, live);
    table.add("upload_limit", &part::upload_limit, kind::rate{}, live);
    table.add("download_limit", &part::download_limit, kind::rate{}, live);
    table.add("connections", &part::connections, kind::number{{1, 65535}}, live);
    // libtorrent rotates the slots among the peers: no peer would keep a single slot for long.
    table.add("upload_slots", &part::upload_slots, kind::number_or_zero{{{2, 65535}}}, live);
    table.add("slow_start", &part::slow_start, kind::flag{}, live);
    table.add("read_once", &part::read_once, kind::flag{}, live);
    table.add("shards", &part::shards, kind::number{{1, 16}}, restart);
}

void add_tracker(daemon_key_list& keys) {
    using part = tracker_settings;
    kind::duration const interval{{seconds(1), hours(1)}};
    kind::number const peers{{1, 1'000'000}};
    key_section table(
        keys, "tracker", [](auto& all) -> auto& { return all.tracker; });
    table.add("enabled", &part::enabled, kind::flag{}, live);
    table.add("listen", &part::listen, kind::listeners{}, live, kind::listeners{}.text(part::default_listen()));
    table.add("interval", &part::interval, interval, live);
    table.add("min_interval", &part::min_interval, interval, live);
    table.add("peers_per_image", &part::peers_per_image, peers, live);
    table.add("peers", &part::peers, peers, live);
    table.add("peers_per_address", &part::peers_per_address, peers, live);
    table.add("numwant", &part::numwant, kind::number{{1, 2000}}, live);
    table.add("max_request", &part::max_request, kind::size{{kib, 64 * kib}}, live);
}

void add_memory(daemon_key_list& keys) {
    using part = memory_settings;
    key_section table(
        keys, "memory", [](auto& all) -> auto& { return all.memory; });
    table.add("pool", &part::pool, kind::size_or_share{{{16 * mib, tib}}}, live);
    table.add("cache", &part::cache, kind::size{{0, tib}}, live, "the free part of the pool");
    table.add("packed", &part::packed, kind::size_or_share{{{0, tib}}}, restart,
              "half of the free memory, shared by all images");
    table.add("cache_shards", &part::cache_shards, kind::power_of_two{{{1, 1024}}}, restart);
    table.add("huge_pages", &part::huge_pages, kind::flag{}, restart);
    table.add("max_torrent", &part::max_torrent, kind::size{{mib, max_torrent_size}}, live);
}

void add_hashing(daemon_key_list& keys) {
    using part = hashing_settings;
    key_section table(
        keys, "hashing", [](auto& all) -> auto& { return all.hashing; });
    table.add("threads", &part::threads, kind::number{{1, 1024}}, live, "one per processor");
    table.add("ahead", &part::ahead, kind::flag{}, restart);
}

void add_resume(daemon_key_list& keys) {
    using part = resume_settings;
    key_section table(
        keys, "resume", [](auto& all) -> auto& { return all.resume; });
    table.add("interval", &part::interval, kind::duration{{milliseconds(0), hours(1)}}, live);
    table.add("folder", &part::folder, kind::path{}, live, "systemd's state folder, else /var/lib/seedbed");
}

void add_interfaces(daemon_key_list& keys) {
    key_section control(
        keys, "control", [](auto& all) -> auto& { return all.control; });
    control.add("socket", &control_settings::socket, kind::socket_path{}, live);
    key_section metrics(
        keys, "metrics", [](auto& all) -> auto& { return all.metrics; });
    metrics.add("listen", &metrics_settings::listen, kind::listeners{}, live, "none");
    key_section web(
        keys, "web", [](auto& all) -> auto& { return all.web; });
    web.add("listen", &web_settings::listen, kind::listeners{}, live, "none");
    key_section history(
        keys, "history", [](auto& all) -> auto& { return all.history; });
    history.add("limit", &history_settings::limit, kind::number{{0, 1'000'000}}, live);
    key_section log(
        keys, "log", [](auto& all) -> auto& { return all.log; });
    log.add("level", &log_settings::level,
            kind::word<log_level>{
                {log_level::error, log_level::warning, log_level::info, log_level::debug, log_level::trace}},
            live);
}

void add_boot(daemon_key_list& keys) {
    key_section order(
        keys, "boot", [](auto& all) -> auto& { return all.boot.order; });
    add_order_keys(order, "none");
    key_section table(
        keys, "boot", [](auto& all) -> auto& { return all.boot; });
    table.add("files", &boot_settings::files, kind::path{}, live, "none");
}

void add_profile(daemon_key_list& keys, storage_class cls) {
    using namespace io_profile_limits;
    using part = io_profile;
    key_section table(
        keys, std::string("profile.") + to_string(cls), [at = static_cast<std::size_t>(cls)](auto& all) -> auto& {
            return all.profiles[at];
        });
    table.add("threads", &part::threads, kind::number{{min_threads, max_threads}}, live);
    table.add("queue_depth", &part::queue_depth, kind::number{{min_queue_depth, max_queue_depth}}, live);
    table.add("coalesce", &part::coalesce, kind::size{{min_coalesce, max_coalesce}}, live);
    table.add("delay", &part::delay, kind::duration{{min_delay, max_delay}}, live);
    table.add("read_ahead", &part::read_ahead, kind::size{{min_read_ahead, max_read_ahead}}, live);
    table.add(
        "direct_io", &part::direct_io,
        kind::flag_or_auto<direct_io_mode>{{{direct_io_mode::automatic, direct_io_mode::on, direct_io_mode::off}}},
        restart);
    table.add(
        "io_engine", &part::io_engine,
        kind::word<io_engine_kind>{{io_engine_kind::automatic, io_engine_kind::threads, io_engine_kind::io_uring}},
        restart);
}

daemon_key_list make_daemon_keys() {
    daemon_key_list keys;
    add_network(keys);
    add_tracker(keys);
    add_memory(keys);
    add_hashing(keys);
    add_resume(keys);
    add_interfaces(keys);
    add_boot(keys);
    for (auto const cls : {storage_class::hdd, storage_class::sata_ssd, storage_class::nvme}) {
        add_profile(keys, cls);
    }
    return keys;
}

} // namespace

char const* to_string(key_change change) noexcept {
    switch (change) {
    case key_change::live:
        return "reload";
    case key_change::reopen:
        return "reload, reopens the image";
    case key_change::restart:
        return "restart";
    }
    return "unknown";
}

std::vector<config_key<settings>> const& daemon_keys() {
    static auto const keys = make_daemon_keys();
    return keys;
}

std::vector<std::string> restart_differences(settings const& running, settings const& wanted) {
    std::vector<std::string> paths;
    for (auto const& key : daemon_keys()) {
        if (key.change == key_change::restart && !key.equal(running, wanted)) {
            paths.push_back(key.path());
        }
    }
    return paths;
}

void keep_restart_keys(settings const& running, settings& wanted) {
    for (auto const& key : daemon_keys()) {
        if (key.change == key_change::restart) {
            key.copy(running, wanted);
        }
    }
}

} // namespace seedbed
