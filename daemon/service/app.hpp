#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/load.hpp"
#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/fleet/fleet_watch.hpp"
#include "daemon/fleet/report_sender.hpp"
#include "daemon/fleet/tracker_service.hpp"
#include "daemon/image/image_job.hpp"
#include "daemon/image/resume_store.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/reload.hpp"
#include "daemon/service/service_notify.hpp"
#include "daemon/status/control_server.hpp"
#include "daemon/status/status_collector.hpp"
#include "daemon/swarm/sharded_session.hpp"

namespace seedbed {

/// The daemon while it runs: starts the images, reloads on SIGHUP, stops on SIGTERM and SIGINT.
///
/// Threads: everything on the one that calls run(), the main thread. Timers run only while bytes move,
/// for the service manager's watchdog, and to look at the sources of what is served.
class app {
public:
    /// \param config_file is read again on a reload. \param required whether it must be there.
    app(std::filesystem::path config_file, bool required, settings initial);
    app(app const&) = delete;
    app& operator=(app const&) = delete;
    ~app();

    /// Runs until it is told to stop. \return exit_ok, or exit_failed where no listener could be opened.
    [[nodiscard]] exit_code run();

private:
    using clock = std::chrono::steady_clock;
    struct loaded_settings;

    void start();
    void on_listening(result<void> const& outcome);
    void open_image(image_settings const& image);
    void on_change();
    void report_ready();
    /// Tells tracker and fleet which images there are now.
    void sync_tracker();
    void request_peers(std::string const& image, fleet_watch::peers_handler handler);
    [[nodiscard]] std::string status() const;

    void wait_for_signal();
    void on_signal(int signal);

    void reload();
    void on_reloaded(std::shared_ptr<loaded_settings> const& loaded);
    void apply(reload_plan const& plan, settings wanted);
    void close_images(std::vector<std::string> const& names, std::function<void()> closed);
    void finish_reload();

    void stop();
    void end_session_when_empty();

    void arm_progress_timer();
    void on_progress_timer();
    void arm_watchdog();
    void on_watchdog();
    /// Why the watchdog must not be fed, or empty.
    [[nodiscard]] std::string what_hangs(clock::duration limit) const;
    /// The device or the hash workers that have ended nothing for that long, or empty.
    [[nodiscard]] std::string what_device_hangs(clock::duration limit) const;

    [[nodiscard]] status_snapshot snapshot() const;
    [[nodiscard]] status_collector::sources status_sources();

    std::filesystem::path const m_config_file;
    bool const m_config_required;
    settings m_settings;

    boost::asio::io_context m_main{1};
    resume_store m_resume_store; ///< before what has workers that write to it
    std::shared_ptr<backend> m_backend;
    worker_pool m_setup{"setup", 2}; ///< after m_main: what it posts needs that
    service_notify m_notify;
    sharded_session m_swarm;
    report_sender m_reports;
    fleet_watch m_fleets;
    tracker_service m_tracker;
    std::map<std::string, std::shared_ptr<image_job>> m_images; ///< by name
    std::chrono::system_clock::time_point const m_started_at = std::chrono::system_clock::now();
    clock::time_point const m_started = clock::now();
    status_collector m_collector{m_main, status_sources()};
    control_server m_control{m_main, [this](clock::duration patience, status_collector::receiver call) {
                                 m_collector.collect(patience, std::move(call));
                             }};

    boost::asio::signal_set m_signals;
    boost::asio::steady_timer m_progress_timer;
    boost::asio::steady_timer m_watchdog_timer;
    boost::asio::steady_timer m_stop_timer;
    bool m_progress_armed = false;
    clock::time_point m_last_summary = clock::now();
    bool m_hang_reported = false;

    bool m_listening = false;
    bool m_ready = false;
    bool m_reloading = false;
    bool m_reload_again = false; ///< SIGHUP came while a reload was running
    bool m_stopping = false;
    bool m_session_ended = false;
    exit_code m_exit = exit_ok;
};

} // namespace seedbed
