#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/steady_timer.hpp>

#include "config/settings.hpp"
#include "daemon/image/image_runner.hpp"
#include "daemon/service/exit_code.hpp"
#include "daemon/service/hang_log.hpp"
#include "daemon/service/node.hpp"
#include "daemon/service/seed_until.hpp"

namespace seedbed {

/// The outcome of a deployment.
struct deployment_report {
    exit_code code = exit_failed;
    image_status image;                       ///< its last status
    std::map<image_state, double> seconds;    ///< in each state
    std::optional<std::int64_t> to_fetch;     ///< bytes missing on the device at the start; nothing until known
    std::map<std::string, peer_status> peers; ///< with which payload was exchanged, by id
};

struct deployment_options {
    image_settings image;
    settings in_force; ///< everything else; its images are ignored
    seed_limits seeding;
    std::optional<std::chrono::milliseconds> timeout; ///< for the download, after the check
    std::string state_folder;                         ///< for checkpoints
    /// Time without a peer, or with peers that lack missing pieces, before a warning.
    std::chrono::milliseconds peer_patience{30'000};
    std::shared_ptr<packed_plan const> plan = {}; ///< of a packed image; null: planned when the device is opened
    std::string job = {};                         ///< of an agent; empty: none
    /// Makes the receipt that the server gets with the report of the end; may be empty. See short_receipt().
    std::function<std::string(deployment_report const&)> describe = {};
};

/// The exit status for a failure.
[[nodiscard]] exit_code exit_code_of(failure_kind kind) noexcept;

/// Deploys one image in the foreground, on the same node as the daemon but without reload and service manager. SIGTERM,
/// SIGINT and SIGHUP, unless ignored, stop it cleanly: the written data is flushed.
///
/// Threads: everything on the thread that calls run().
class deployment {
public:
    /// \param show is called on every change of state and about ten times a second.
    deployment(deployment_options options, std::function<void(image_status const&)> show);
    deployment(deployment const&) = delete;
    deployment& operator=(deployment const&) = delete;
    ~deployment();

    /// Must be called once. Returns when the device is closed.
    [[nodiscard]] deployment_report run();

private:
    using clock = std::chrono::steady_clock;

    void on_signal(int signal);
    void on_listening(result<void> const& outcome);
    void on_change();
    void take_status();
    void arm_timer();
    void on_timer();
    void look_at_peers();
    void look_for_hang();
    void check_timeout(image_status const& status);
    void look_for_pieces(image_status const& status);
    /// The receipt of a deployment that is about to seed, or has failed.
    [[nodiscard]] std::string describe(ended_deployment const& ended) const;
    /// Closes the image, then the session. The first \p code is kept, unless the flush then fails.
    void end(exit_code code);
    void on_closed();

    deployment_options const m_options;
    std::function<void(image_status const&)> const m_show;
    deployment_report m_report;

    node m_node;
    std::shared_ptr<image_runner> m_job;

    boost::asio::steady_timer m_timer;
    std::optional<clock::time_point> m_download_began;
    clock::time_point m_peers_seen{}; ///< when there last was a peer, or when the download began
    hang_log m_hangs;
    bool m_peers_missed = false;
    std::int64_t m_received = 0;         ///< payload bytes
    clock::time_point m_received_last{}; ///< when that last changed, or the download began
    bool m_pieces_missed = false;        ///< a warning that it does not change
    bool m_peers_asked = false;
    std::shared_ptr<peer_record> const m_record = std::make_shared<peer_record>();
    std::vector<peer_status> m_connected; ///< as last seen during the download
    std::optional<seed_until> m_seed_until;
    bool m_ending = false;
};

} // namespace seedbed
