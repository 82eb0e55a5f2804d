#include "daemon/service/app.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <utility>

#include <boost/asio/post.hpp>
#include <spdlog/fmt/fmt.h>

#include "core/foundation/byte_size.hpp"
#include "daemon/http/query_string.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/service/backend_setup.hpp"
#include "daemon/swarm/session_settings.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

constexpr auto progress_interval = 1s;
constexpr auto summary_interval = 60s;
constexpr auto stop_warning = 5s;
constexpr std::size_t max_images_in_status = 8; ///< more are counted by state: a status is one line

/// What cannot change stays as it is in force, so that the next reload compares with that.
void keep_unchangeable(settings const& running, settings& wanted) {
    wanted.network.shards = running.network.shards;
    wanted.memory.cache_shards = running.memory.cache_shards;
    wanted.memory.huge_pages = running.memory.huge_pages;
    wanted.hashing.ahead = running.hashing.ahead;
    for (std::size_t i = 0; i < wanted.profiles.size(); ++i) {
        wanted.profiles[i].direct_io = running.profiles[i].direct_io;
        wanted.profiles[i].io_engine = running.profiles[i].io_engine;
    }
}

} // namespace

struct app::loaded_settings {
    result<settings, config_errors> outcome;
    /// Images that run and whose .torrent file has another stamp now: its info-hash, empty where it cannot be read.
    std::map<std::string, std::pair<file_stamp, std::string>> changed_torrents;
};

app::app(std::filesystem::path config_file, bool required, settings initial)
    : m_config_file(std::move(config_file))
    , m_config_required(required)
    , m_settings(std::move(initial))
    , m_resume_store(state_folder(m_settings.resume.folder), [](std::string const& reason) { log_warning({}, reason); })
    , m_backend(
          std::make_shared<backend>(m_settings.memory.pool, hash_threads(m_settings), to_backend_options(m_settings)))
    , m_swarm(m_main, m_backend, m_settings.network, queued_bytes(m_settings),
              [this] {
                  arm_progress_timer();
                  m_fleets.wake();
              })
    , m_reports(m_main, [this] { return m_settings.network.listen; })
    , m_fleets(m_main, [this](auto const& image, auto handler) { request_peers(image, std::move(handler)); })
    , m_tracker(m_main, own_peer_id_prefix(),
                {[this](auto const& said, auto patience) { m_fleets.on_announce(said, patience); },
                 [this](auto const& hash, auto const& report) { return m_fleets.on_report(hash, report); }})
    , m_signals(m_main, SIGTERM, SIGINT, SIGHUP)
    , m_progress_timer(m_main)
    , m_watchdog_timer(m_main)
    , m_stop_timer(m_main) {}

app::~app() = default;

exit_code app::run() {
    // A peer or a journal that goes away is an error of that write, not the end of the daemon.
    static_cast<void>(std::signal(SIGPIPE, SIG_IGN));
    start();
    m_main.run();
    return m_exit;
}

// --- starting

void app::start() {
    log_info({},
             fmt::format(
                 "Seedbed {}: {} image{}, {} of memory for blocks{}", program_version(), m_settings.images.size(),
                 m_settings.images.size() == 1 ? "" : "s", format_byte_size(m_settings.memory.pool),
                 m_settings.network.shards > 1 ? fmt::format(", {} network shards", m_settings.network.shards) : ""));
    wait_for_signal();
    m_control.apply(m_settings.control, m_settings.metrics);
    m_swarm.when_listening([this](result<void> const& outcome) { on_listening(outcome); });
    if (auto const opened = m_tracker.apply(m_settings.tracker, m_settings.network); !opened) {
        on_listening(opened);
        return;
    }
    for (auto const& image : m_settings.images) {
        open_image(image);
    }
    arm_watchdog();
}

void app::on_listening(result<void> const& outcome) {
    if (!outcome) {
        log_error({}, outcome.error().message);
        m_exit = exit_failed;
        stop();
        return;
    }
    m_listening = true;
    report_ready();
}

void app::open_image(image_settings const& image) {
    image_services const services{m_main,
                                  m_setup,
                                  m_backend,
                                  m_swarm,
                                  [this]() -> settings const& { return m_settings; },
                                  [this] { on_change(); },
                                  m_resume_store,
                                  &m_reports,
                                  [this] { return m_tracker.port(); }};
    auto const job = std::make_shared<image_job>(image, services);
    m_images[image.name] = job;
    job->start();
}

void app::on_change() {
    m_notify.status(status());
    sync_tracker();
    arm_progress_timer();
    report_ready();
}

void app::report_ready() {
    auto const opening = [](auto const& entry) { return entry.second->state() == image_state::opening; };
    if (m_stopping || !m_listening || std::ranges::any_of(m_images, opening)) {
        return;
    }
    if (!m_ready) {
        m_ready = true;
        log_info({}, "ready");
        m_notify.ready(status());
    }
}

void app::sync_tracker() {
    std::vector<tracker::image> tracked;
    std::vector<fleet_watch::image> followed;
    for (auto const& [name, job] : m_images) {
        auto const state = job->state();
        auto const hashes = job->announced_hashes();
        auto const& wanted = job->settings();
        auto const in_swarm = state != image_state::opening && state != image_state::failed &&
                              state != image_state::closing && state != image_state::closed;
        if (in_swarm) {
            for (auto const& hash : hashes) {
                tracked.push_back({bytes_of_hex(hash).value_or(""), state == image_state::seeding});
            }
        }
        if (wanted.has_fleet()) {
            followed.push_back(
                {name, hashes, job->status().total_bytes, wanted.fleet, m_tracker.port() != 0, in_swarm});
        }
    }
    m_tracker.set_images(tracked);
    m_fleets.set_images(followed, static_cast<std::size_t>(m_settings.tracker.peers_per_image));
}

void app::request_peers(std::string const& image, fleet_watch::peers_handler handler) {
    if (auto const job = m_images.find(image); job != m_images.end()) {
        job->second->request_peers(std::move(handler));
    }
}

std::string app::status() const {
    if (m_images.empty()) {
        return "no images";
    }
    std::string text;
    if (m_images.size() <= max_images_in_status) {
        for (auto const& [name, job] : m_images) {
            text += (text.empty() ? "" : "; ") + job->status_line();
        }
        return text;
    }
    std::map<std::string, int> counts;
    for (auto const& [name, job] : m_images) {
        ++counts[to_string(job->state())];
    }
    for (auto const& [state, count] : counts) {
        text += fmt::format("{}{} {}", text.empty() ? "" : ", ", count, state);
    }
    return fmt::format("{} images: {}", m_images.size(), text);
}

// --- signals

void app::wait_for_signal() {
    m_signals.async_wait([this](boost::system::error_code const& ec, int signal) {
        if (!ec) {
            wait_for_signal();
            on_signal(signal);
        }
    });
}

void app::on_signal(int signal) {
    if (signal == SIGHUP) {
        reload();
        return;
    }
    if (m_stopping) {
        log_warning({}, "still stopping: what was written is being flushed");
        return;
    }
    log_info({}, fmt::format("stopping on {}", signal == SIGTERM ? "SIGTERM" : "SIGINT"));
    stop();
}

// --- reload

void app::reload() {
    if (m_stopping) {
        return;
    }
    if (m_reloading) {
        m_reload_again = true;
        return;
    }
    m_reloading = true;
    log_info({}, "reloading " + m_config_file.string());
    m_notify.reloading();

    std::map<std::string, std::pair<std::string, file_stamp>> torrents;
    for (auto const& [name, job] : m_images) {
        torrents[name] = {job->settings().torrent, job->torrent_stamp()};
    }
    torrent_limits limits;
    limits.file_size = m_settings.memory.max_torrent;
    m_setup.submit([this, limits, file = m_config_file, required = m_config_required, torrents = std::move(torrents)] {
        auto loaded = std::make_shared<loaded_settings>(loaded_settings{load_settings(file, required), {}});
        for (auto const& [name, known] : torrents) {
            auto const stamp = stamp_of(known.first);
            if (stamp != known.second) {
                auto const torrent = load_image_torrent(known.first, limits);
                loaded->changed_torrents[name] = {stamp, torrent ? torrent->info_hash : std::string()};
            }
        }
        boost::asio::post(m_main, [this, loaded] { on_reloaded(loaded); });
    });
}

void app::on_reloaded(std::shared_ptr<loaded_settings> const& loaded) {
    if (m_stopping) {
        return;
    }
    if (!loaded->outcome) {
        for (auto const& line : loaded->outcome.error().lines) {
            log_error({}, line);
        }
        log_error({}, "reload: nothing was changed");
        finish_reload();
        return;
    }
    auto with_running_shards = loaded->outcome->network;
    with_running_shards.shards = m_settings.network.shards;
    if (auto const why = why_no_shards(with_running_shards)) {
        log_error(
            {},
            fmt::format("network.listen: {} (as many shards as run; their number takes effect after a restart)", *why));
        log_error({}, "reload: nothing was changed");
        finish_reload();
        return;
    }
    std::vector<running_image> running;
    for (auto const& [name, job] : m_images) {
        running_image image{job->settings(), job->state() == image_state::failed, false};
        auto const changed = loaded->changed_torrents.find(name);
        if (changed != loaded->changed_torrents.end() && !image.failed) {
            auto const& [stamp, info_hash] = changed->second;
            if (info_hash.empty()) {
                log_warning({name, {}, {}}, job->settings().torrent + " can not be read any more, ignoring");
            } else if (info_hash == job->info_hash()) {
                job->set_torrent_stamp(stamp);
            } else {
                image.torrent_changed = true;
            }
        }
        running.push_back(std::move(image));
    }
    auto wanted = *loaded->outcome;
    auto const plan = plan_reload(m_settings, running, wanted); // before wanted is moved from
    apply(plan, std::move(wanted));
}

void app::apply(reload_plan const& plan, settings wanted) {
    if (!plan.needs_restart.empty()) {
        std::string keys;
        for (auto const& key : plan.needs_restart) {
            keys += (keys.empty() ? "" : ", ") + key;
        }
        log_warning({}, "reload: takes effect after a restart only: " + keys);
    }
    if (plan.log_level) {
        set_log_level(wanted.log.level);
    }
    keep_unchangeable(m_settings, wanted);
    m_settings = std::move(wanted);
    if (plan.memory) {
        m_backend->resize(m_settings.memory.pool, m_settings.memory.cache);
        m_swarm.set_queued_bytes(queued_bytes(m_settings));
        log_info({},
                 fmt::format("reload: {} of memory for blocks, {}", format_byte_size(m_settings.memory.pool),
                             m_settings.memory.cache ? format_byte_size(*m_settings.memory.cache) + " of them to keep"
                                                     : "any of it to keep"));
    }
    if (plan.hashing) {
        m_backend->hash_workers().set_threads(hash_threads(m_settings));
        log_info({}, fmt::format("reload: {} hash threads", hash_threads(m_settings)));
    }
    if (plan.network) {
        m_swarm.apply(m_settings.network);
    }
    if (plan.resume) {
        m_resume_store.set_folder(state_folder(m_settings.resume.folder));
        for (auto const& [name, job] : m_images) {
            job->apply_resume();
        }
    }
    if (plan.tracker || plan.network) {
        if (auto const opened = m_tracker.apply(m_settings.tracker, m_settings.network); !opened) {
            log_error({}, opened.error().message);
        }
    }
    m_control.apply(m_settings.control, m_settings.metrics); // what could not be listened on may be by now
    if (plan.profiles) {
        for (auto const& [name, job] : m_images) {
            job->apply_profile();
        }
    }
    for (auto const& image : plan.update) {
        m_images.at(image.name)->update(image);
    }
    sync_tracker();
    log_info({}, fmt::format("reload: {} image{} closed, {} opened, {} changed in use{}", plan.close.size(),
                             plan.close.size() == 1 ? "" : "s", plan.open.size(), plan.update.size(),
                             plan.empty() ? ": nothing differs" : ""));
    close_images(plan.close, [this, open = plan.open] {
        if (m_stopping) {
            return;
        }
        for (auto const& image : open) {
            open_image(image);
        }
        finish_reload();
    });
}

void app::close_images(std::vector<std::string> const& names, std::function<void()> closed) {
    // Counts itself, so that images that close at once do not call it while others are still to be told.
    auto const left = std::make_shared<std::size_t>(names.size() + 1);
    auto const one_less = [left, closed = std::move(closed)] {
        if (--*left == 0) {
            closed();
        }
    };
    for (auto const& name : names) {
        auto const job = m_images.at(name);
        job->close([this, name, one_less] {
            // The job is running this: it goes when it is done with it.
            boost::asio::post(m_main, [this, name, one_less] {
                m_images.erase(name);
                one_less();
                end_session_when_empty();
            });
        });
    }
    one_less();
}

void app::finish_reload() {
    m_reloading = false;
    m_ready = false; // said again, when the new images are open
    report_ready();
    if (std::exchange(m_reload_again, false)) {
        reload();
    }
}

// --- stopping

void app::stop() {
    m_stopping = true;
    m_notify.stopping("stopping: writing and flushing what is in memory");
    m_progress_timer.cancel();
    m_fleets.stop();
    m_stop_timer.expires_after(stop_warning);
    m_stop_timer.async_wait([](boost::system::error_code const& ec) {
        if (!ec) {
            log_warning({}, "the devices take more than 5 s to flush what was written; waiting for them");
        }
    });
    std::vector<std::string> names;
    for (auto const& [name, job] : m_images) {
        if (job->state() != image_state::closing && job->state() != image_state::closed) {
            names.push_back(name);
        }
    }
    close_images(names, [] {});
    end_session_when_empty();
}

void app::end_session_when_empty() {
    if (!m_stopping || !m_images.empty() || std::exchange(m_session_ended, true)) {
        return;
    }
    m_swarm.shut_down(m_setup, [this] {
        m_tracker.close(); // open until now for what this daemon announces to itself
        m_stop_timer.cancel();
        m_watchdog_timer.cancel();
        m_signals.cancel();
        m_control.close();
        m_collector.close();
        log_info({}, "stopped");
    });
}

// --- timers

void app::arm_progress_timer() {
    auto const moving = [](auto const& entry) { return entry.second->is_moving(); };
    if (m_progress_armed || m_stopping) {
        return;
    }
    if (!std::ranges::any_of(m_images, moving)) {
        return;
    }
    m_progress_armed = true;
    m_progress_timer.expires_after(progress_interval);
    m_progress_timer.async_wait([this](boost::system::error_code const& ec) {
        m_progress_armed = false;
        if (!ec) {
            on_progress_timer();
        }
    });
}

void app::on_progress_timer() {
    m_swarm.request_progress();
    m_notify.status(status());
    if (clock::now() - m_last_summary >= summary_interval) {
        m_last_summary = clock::now();
        for (auto const& [name, job] : m_images) {
            job->log_summary();
        }
    }
    arm_progress_timer();
}

void app::arm_watchdog() {
    auto const timeout = m_notify.watchdog_timeout();
    if (!timeout) {
        return;
    }
    m_watchdog_timer.expires_after(*timeout / 2);
    m_watchdog_timer.async_wait([this](boost::system::error_code const& ec) {
        if (!ec) {
            on_watchdog();
            arm_watchdog();
        }
    });
}

void app::on_watchdog() {
    auto const timeout = *m_notify.watchdog_timeout();
    auto const hangs = what_hangs(timeout);
    if (hangs.empty()) {
        m_notify.feed_watchdog();
        m_hang_reported = false;
    } else if (!std::exchange(m_hang_reported, true)) {
        log_error({}, hangs + "; the watchdog is not fed");
    }
    if (!m_stopping) {
        m_swarm.ping();
    }
}

std::string app::what_hangs(clock::duration limit) const {
    auto const now = clock::now();
    auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
    if (!m_stopping && now - m_swarm.last_pong() > limit) {
        return fmt::format("the network thread has not answered for {} s", seconds);
    }
    return what_device_hangs(limit);
}

std::string app::what_device_hangs(clock::duration limit) const {
    auto const now = clock::now();
    auto const stalled = [&](worker_pool::progress const& progress) { return now - progress.stalled_since > limit; };
    auto const seconds = std::chrono::duration_cast<std::chrono::seconds>(limit).count();
    for (auto const& [name, job] : m_images) {
        auto const progress = job->queue_progress();
        if (progress && stalled(*progress)) {
            return fmt::format("{}: no operation on {} has ended for {} s", name, job->settings().device, seconds);
        }
    }
    // Hash workers wait for devices: they get longer, so that the device that hangs is the one that is named.
    if (now - m_backend->hash_workers().current_progress().stalled_since > limit + limit / 2) {
        return fmt::format("the hash workers have finished nothing for {} s", seconds);
    }
    return {};
}

} // namespace seedbed
