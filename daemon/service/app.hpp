#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "config/load.hpp"
#include "config/settings.hpp"
#include "core/foundation/wall_clock.hpp"
#include "daemon/fleet/fleet_store.hpp"
#include "daemon/fleet/fleet_watch.hpp"
#include "daemon/fleet/tracker_service.hpp"
#include "daemon/history/history_store.hpp"
#include "daemon/log/line_limit.hpp"
#include "daemon/machine/machine_service.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/hang_log.hpp"
#include "daemon/service/image_set.hpp"
#include "daemon/service/node.hpp"
#include "daemon/service/reload.hpp"
#include "daemon/service/service_notify.hpp"
#include "daemon/service/watchdog.hpp"
#include "daemon/status/control_server.hpp"
#include "daemon/status/status_collector.hpp"
#include "daemon/web/web_server.hpp"

namespace seedbed {

/// The running daemon: starts the images, reloads on SIGHUP, stops on SIGTERM and SIGINT.
///
/// Threads: everything on the thread that calls run(), the main thread. Timers run only while bytes move, for the
/// service manager's watchdog, and for checking the sources of seeds.
class app {
public:
    /// \param config_file is reread on a reload. \param required whether it must exist.
    app(std::filesystem::path config_file, bool required, settings const& initial);
    app(app const&) = delete;
    app& operator=(app const&) = delete;
    ~app();

    /// Runs until a signal stops it. Must be called once. \return exit_ok, or exit_failed if a listener could not be
    /// opened.
    [[nodiscard]] exit_code run();

private:
    using clock = std::chrono::steady_clock;
    struct reload_input;

    void start();
    void on_listening(result<void> const& outcome);
    void open_image(image_settings const& image);
    void on_change();
    void report_ready();
    /// Passes the current images to the tracker and the fleets.
    void sync_tracker();
    void request_peers(std::string const& image, fleet_watch::peers_handler handler);
    /// \return whether the image exists.
    bool on_report(info_hash const& hash, host_report const& report);
    /// Answers requests for machines and the history on the control socket; returns false for any other request.
    bool answer_operator(http_request const& request, http_respond const& respond);
    /// Why the image cannot be deployed from here at present, or nothing.
    [[nodiscard]] std::optional<std::string> why_unavailable(std::string const& image);
    void on_signal(int signal);

    // Reload, see app_reload.cpp.
    void reload();
    /// The same, and calls \p receive with the outcome when the images are open.
    void request_reload(reload_receiver receive);
    static void answer(std::vector<reload_receiver>& receivers, reload_outcome const& outcome);
    void on_reload_input(reload_input& input);
    /// The images as needed to plan a reload. Logs each .torrent that can no longer be read.
    [[nodiscard]] std::vector<running_image> look_at_images(reload_input const& input);
    void refuse_reload(std::vector<std::string> const& errors);
    void apply(reload_plan const& plan, settings wanted);
    void apply_memory(reload_plan const& plan);
    void apply_services(reload_plan const& plan);
    void apply_images(reload_plan const& plan);
    void finish_reload();

    void stop();
    void end_session_when_empty();

    void arm_progress_timer();
    void on_progress_timer();
    /// Logs which devices are hanging.
    void look_for_hangs();

    // Reports about the daemon itself: see app_status.cpp.
    /// The part that has made no progress for \p limit, or empty.
    [[nodiscard]] std::string find_hang(clock::duration limit) const;
    /// The same, but only devices and hash workers.
    [[nodiscard]] std::string find_hanging_device(clock::duration limit) const;
    /// How long a device may complete nothing before it counts as hung.
    [[nodiscard]] clock::duration hang_patience() const;
    [[nodiscard]] status_snapshot snapshot() const;
    [[nodiscard]] status_collector::sources status_sources();

    std::filesystem::path const m_config_file;
    bool const m_config_required;

    node m_node;
    service_notify m_notify;
    fleet_store m_fleet_store;
    fleet_watch m_fleets;
    history_store m_history;
    allowance m_strangers_records{10'000, std::chrono::seconds(2)}; ///< of hosts that are not authenticated
    machine_service m_machines;
    tracker_service m_tracker;
    image_set m_images;
    std::chrono::system_clock::time_point const m_started_at = wall_clock_now();
    clock::time_point const m_started = clock::now();
    status_collector m_collector;
    control_server m_control;
    web_server m_web;
    watchdog m_watchdog;
    hang_log m_hangs;
    boost::asio::steady_timer m_progress_timer;
    bool m_progress_armed = false;
    clock::time_point m_last_summary = clock::now();

    bool m_listening = false;
    bool m_ready = false;
    bool m_reloading = false;
    bool m_reload_again = false;                     ///< SIGHUP or a request arrived during a reload
    std::vector<reload_receiver> m_reload_requested; ///< wait for the next reload
    std::vector<reload_receiver> m_reload_started;   ///< wait for the current one
    std::vector<reload_receiver> m_reload_applied;   ///< wait until the images are open
    bool m_stopping = false;
    bool m_session_ended = false;
    exit_code m_exit = exit_ok;
};

} // namespace seedbed
