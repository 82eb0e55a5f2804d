#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/fleet/report_sender.hpp"
#include "daemon/image/image_job.hpp"
#include "daemon/image/resume_store.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/seeding_end.hpp"
#include "daemon/swarm/sharded_session.hpp"

namespace seedbed {

struct deployment_options {
    image_settings image;
    settings in_force; ///< all else; its images are not looked at
    seeding_rules seeding;
    std::optional<std::chrono::milliseconds> timeout; ///< of the download, after the check
    std::string state_folder;                         ///< for checkpoints
    std::chrono::milliseconds peer_patience{30'000};  ///< without any peer, until that is said
};

/// What has come of a deployment.
struct deployment_report {
    exit_code code = exit_failed;
    image_status image;                       ///< as it was last
    std::map<image_state, double> seconds;    ///< in each state
    std::optional<std::int64_t> to_fetch;     ///< bytes that the device did not hold; nothing until known
    std::map<std::string, peer_status> peers; ///< as they were seen last, about ten times a second, by id
};

/// What a failure says at the end of the program.
[[nodiscard]] exit_code exit_code_of(failure_kind kind) noexcept;

/// Deploys one image in the foreground, with the same parts as the daemon but without reload and service manager.
/// SIGTERM, and SIGINT and SIGHUP unless they are ignored, end it in order: what was written is flushed.
///
/// Threads: everything on the one that calls run().
class deployment {
public:
    /// \param show is called on every change of state and about ten times a second.
    deployment(deployment_options options, std::function<void(image_status const&)> show);
    deployment(deployment const&) = delete;
    deployment& operator=(deployment const&) = delete;
    ~deployment();

    /// To be called once. Returns when the device is closed.
    [[nodiscard]] deployment_report run();

private:
    using clock = std::chrono::steady_clock;

    void wait_for_signal();
    void on_signal(int signal);
    void on_listening(result<void> const& outcome);
    void on_change();
    void take_status();
    void arm_timer();
    void on_timer();
    void look_at_peers();
    void check_timeout(image_status const& status);
    /// Records how long the present state has lasted until now.
    void count_seconds();
    /// Closes the image, then the session. The first \p code counts, but a failed flush counts more.
    void end(exit_code code);
    void on_closed();

    deployment_options const m_options;
    std::function<void(image_status const&)> const m_show;
    deployment_report m_report;

    boost::asio::io_context m_main{1};
    resume_store m_checkpoints; ///< before what has workers that write to it
    std::shared_ptr<backend> m_backend;
    worker_pool m_setup{"setup", 2}; ///< after m_main: what it posts needs that
    sharded_session m_swarm;
    report_sender m_reports;
    std::shared_ptr<image_job> m_job;

    boost::asio::signal_set m_signals;
    boost::asio::steady_timer m_timer;
    boost::asio::steady_timer m_stop_timer;
    clock::time_point m_state_began = clock::now();
    std::optional<clock::time_point> m_download_began;
    clock::time_point m_peers_seen{}; ///< when there were any, or when waiting for them began
    bool m_peers_missed = false;
    bool m_peers_asked = false;
    std::optional<seeding_end> m_seeding_end;
    bool m_ending = false;
};

} // namespace seedbed
