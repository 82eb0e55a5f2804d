#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/fleet/report_sender.hpp"
#include "daemon/http/shared_secret.hpp"
#include "daemon/image/checkpoint_store.hpp"
#include "daemon/image/image_runner.hpp"
#include "daemon/service/clock_watch.hpp"
#include "daemon/swarm/sharded_session.hpp"

namespace seedbed {

/// The number of hash workers that \p wanted specifies; by default one per processor.
[[nodiscard]] int hash_threads(settings const& wanted);

/// The secret that \p network specifies; null if it specifies none.
[[nodiscard]] result<std::shared_ptr<shared_secret const>> load_secret(network_settings const& network);

/// The parts that the daemon and a foreground deployment have in common: the event loop, the backend, the libtorrent
/// sessions and the services shared by images.
///
/// Threads: everything is confined to the main thread, the one that calls run(). Owns all parts; the images belong to
/// the caller and must be destroyed first.
class node {
public:
    /// \param in_force its images are ignored. \param checkpoints the folder for checkpoints. \param on_activity is
    /// called when a peer connects.
    node(settings in_force, std::string checkpoints, std::function<void()> on_activity);
    node(node const&) = delete;
    node& operator=(node const&) = delete;
    ~node();

    [[nodiscard]] boost::asio::io_context& main() noexcept { return m_main; }
    /// For work that takes longer than a millisecond.
    [[nodiscard]] worker_pool& setup() noexcept { return m_setup; }
    [[nodiscard]] backend& storage() const noexcept { return *m_backend; }
    [[nodiscard]] sharded_session& swarm() noexcept { return m_swarm; }
    [[nodiscard]] sharded_session const& swarm() const noexcept { return m_swarm; }

    /// Null without a secret, or an error if its file cannot be used; nothing must be started in that case.
    [[nodiscard]] result<std::shared_ptr<shared_secret const>> const& secret() const noexcept { return m_secret; }

    [[nodiscard]] settings const& in_force() const noexcept { return m_settings; }
    void set_in_force(settings wanted) { m_settings = std::move(wanted); }
    /// Applies the configured sizes of pool and cache.
    void apply_memory();
    /// Applies the configured number of hash threads.
    void apply_hashing();
    /// Applies the configured folder for checkpoints.
    void apply_checkpoint_folder();

    /// The services that an image needs, without a port for reports. \param on_change is called after every change of
    /// its state.
    [[nodiscard]] image_services services(std::function<void()> on_change);

    /// The signals to wait for: the caller adds them, then calls wait_for_signals().
    [[nodiscard]] boost::asio::signal_set& signals() noexcept { return m_signals; }
    /// Calls \p handler with the number of each signal that arrives, until shut_down().
    void wait_for_signals(std::function<void(int)> handler);

    /// Releases the termination signals, then runs the event loop until nothing is left to do, which takes a
    /// shut_down().
    void run();

    /// The images are about to be closed: logs a warning if that takes longer than 5 s.
    void begin_stop();
    /// Ends the sessions, then everything that keeps run() running, and calls \p done. Must be called once, after
    /// begin_stop() and after all images have left the swarm.
    void shut_down(std::function<void()> done);

private:
    settings m_settings;
    result<std::shared_ptr<shared_secret const>> const m_secret;
    boost::asio::io_context m_main{1};
    checkpoint_store m_checkpoints; ///< outlives the workers that write to it
    std::shared_ptr<backend> m_backend;
    worker_pool m_setup{"setup", 2}; ///< posts to m_main, which outlives it
    sharded_session m_swarm;
    report_sender m_reports;
    boost::asio::signal_set m_signals;
    boost::asio::steady_timer m_stop_timer;
    clock_watch m_clock;
    std::function<void(int)> m_on_signal;
    bool m_ended = false; ///< a signal already in flight must not start another wait
};

} // namespace seedbed
