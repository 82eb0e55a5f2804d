#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/alert.hpp>
#include <libtorrent/fwd.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/torrent_handle.hpp>

#include "core/backend/backend.hpp"
#include "core/foundation/thread_confinement.hpp"
#include "daemon/log/line_limit.hpp"
#include "daemon/swarm/accept_pause.hpp"
#include "daemon/swarm/listener_watch.hpp"
#include "daemon/swarm/room_extension.hpp"
#include "daemon/swarm/session_options.hpp"
#include "daemon/swarm/session_settings.hpp"
#include "daemon/swarm/session_torrent.hpp"
#include "daemon/swarm/torrent_spec.hpp"

namespace seedbed {

/// The implementation of torrent_session, which makes the calls; session_alerts.cpp handles the answers.
///
/// Owned by the torrent_session, and by wake-ups in flight through the io_context, which may outlive the session.
///
/// Threads: confined to the main thread, except `woken`.
struct session_core : std::enable_shared_from_this<session_core> {
    using id = std::uint64_t;

    session_core(boost::asio::io_context& main_context, std::shared_ptr<backend> shared_backend,
                 session_options wanted);

    /// Starts the libtorrent session. Separate from the constructor because the wake-up refers to this object weakly.
    void open();

    // --- calls: session_core.cpp

    [[nodiscard]] libtorrent::add_torrent_params make_params(id which, torrent_spec const& spec) const;
    void add_extensions(libtorrent::add_torrent_params& params, id which, torrent_spec const& spec,
                        torrent_sharding shards);
    void apply_read_once();
    /// How fast the session connects to peers: not at all once each image that is deployed has enough of them.
    void choose_connection_speed();
    [[nodiscard]] std::int64_t pool_bytes() const;

    /// Wraps \p call in a function for the network thread that runs call(torrent, arguments...) on the main thread,
    /// unless the session or the torrent is gone by then.
    template <class Call>
    auto on_main(id which, Call call) {
        return [weak = weak_from_this(), &context = main, which, call = std::move(call)](auto... arguments) {
            boost::asio::post(context, [weak, which, call, arguments...] {
                auto const self = weak.lock();
                auto* const torrent = self ? self->find(which) : nullptr;
                if (torrent != nullptr) {
                    call(*torrent, arguments...);
                }
            });
        };
    }

    /// The configured peers and the expected hosts of all torrents; after a change of them.
    void keep_room_for_known_peers();

    /// Whether the filter of addresses holds for the torrents other than \p which.
    void apply_filter_to_others(id which, bool apply);

    // --- alerts: session_alerts.cpp

    /// Network thread: alerts are available.
    void wake();
    void take_alerts();
    void dispatch(libtorrent::alert const& alert);
    template <class... Alerts>
    void dispatch_one_of(libtorrent::alert const& alert);
    void on(libtorrent::add_torrent_alert const& alert);
    void on(libtorrent::torrent_removed_alert const& alert);
    void on(libtorrent::session_stats_alert const& alert);
    void on(libtorrent::state_update_alert const& alert);
    void on(libtorrent::state_changed_alert const& alert);
    void on(libtorrent::torrent_checked_alert const& alert);
    void on(libtorrent::torrent_finished_alert const& alert);
    void on(libtorrent::torrent_error_alert const& alert);
    void on(libtorrent::hash_failed_alert const& alert);
    void on(libtorrent::save_resume_data_alert const& alert);
    void on(libtorrent::listen_failed_alert const& alert);
    void on(libtorrent::listen_succeeded_alert const& alert);
    void on(libtorrent::peer_ban_alert const& alert);
    void on(libtorrent::peer_connect_alert const& alert);
    void on(libtorrent::peer_disconnected_alert const& alert);
    void on(libtorrent::peer_error_alert const& alert);
    void on(libtorrent::url_seed_alert const& alert);
    void on(libtorrent::tracker_error_alert const& alert);
    void on(libtorrent::tracker_reply_alert const& alert);
    void on(libtorrent::alerts_dropped_alert const& alert);
    void share_send_buffers(std::int64_t peers);
    void choose_reconnect_time();
    /// Closes the listening sockets for a while.
    void pause_accepting(ip_endpoint const& address, std::string const& cause);
    void resume_accepting();
    void try_peers_forever();

    [[nodiscard]] session_torrent* find(id which);
    [[nodiscard]] session_torrent* find(libtorrent::torrent_handle const& handle);

    thread_confinement const thread;
    boost::asio::io_context& main;
    std::shared_ptr<backend> const shared;
    session_options own;
    std::map<id, session_torrent> torrents;
    std::map<libtorrent::torrent_handle, id> by_handle; ///< the torrents that have been added

    std::atomic<bool> woken{false}; ///< set by the network thread, cleared before alerts are taken
    std::chrono::steady_clock::time_point last_pong = std::chrono::steady_clock::now();
    std::vector<std::function<void()>> pings; ///< called at the next pong
    listener_watch listeners;
    accept_pause accepts;
    boost::asio::steady_timer accept_timer{main};
    line_limit dropped_alerts{1, std::chrono::minutes(1)};
    std::shared_ptr<session_room> const room; ///< shared with the network thread

    int send_buffer = 0;                           ///< bytes per peer, as last set; 0: not set yet
    bool stats_asked = false;                      ///< since the last peer connected
    bool fast_reconnect = true;                    ///< as in the session's initial settings
    bool even_failure_limit = true;                ///< as in the session's initial settings
    int connection_speed = usual_connection_speed; ///< attempts a second, as last set

    std::unique_ptr<libtorrent::session> session; ///< null after shut_down()
    std::vector<libtorrent::alert*> alerts;       ///< reused memory
};

} // namespace seedbed
