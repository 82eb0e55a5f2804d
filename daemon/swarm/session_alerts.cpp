#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

#include <boost/asio/post.hpp>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/session_stats.hpp>
#include <libtorrent/torrent_status.hpp>

#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/swarm/libtorrent_types.hpp"
#include "daemon/swarm/session_core.hpp"
#include "daemon/swarm/session_settings.hpp"

namespace seedbed {

namespace lt = libtorrent;

void session_core::wake() {
    if (!woken.exchange(true)) {
        boost::asio::post(main, [self = shared_from_this()] { self->take_alerts(); });
    }
}

void session_core::take_alerts() {
    thread.check();
    woken.store(false);
    if (!session) {
        return;
    }
    session->pop_alerts(&alerts);
    for (auto const* alert : alerts) {
        dispatch(*alert);
    }
    choose_reconnect_time();
}

/// Calls on() with the alert's own type; ignores alerts of other types.
template <class... Alerts>
void session_core::dispatch_one_of(lt::alert const& alert) {
    auto const call_if = [&]<class Alert>(Alert const* same) {
        if (same != nullptr) {
            this->on(*same);
        }
        return same != nullptr;
    };
    static_cast<void>((call_if(lt::alert_cast<Alerts>(&alert)) || ...));
}

void session_core::dispatch(lt::alert const& alert) {
    dispatch_one_of<lt::add_torrent_alert, lt::torrent_removed_alert, lt::session_stats_alert, lt::state_update_alert,
                    lt::state_changed_alert, lt::torrent_checked_alert, lt::torrent_finished_alert,
                    lt::torrent_error_alert, lt::hash_failed_alert, lt::save_resume_data_alert, lt::listen_failed_alert,
                    lt::listen_succeeded_alert, lt::peer_ban_alert, lt::peer_connect_alert, lt::peer_disconnected_alert,
                    lt::peer_error_alert, lt::url_seed_alert, lt::tracker_error_alert, lt::tracker_reply_alert,
                    lt::alerts_dropped_alert>(alert);
}

session_torrent* session_core::find(id which) {
    auto const at = torrents.find(which);
    return at != torrents.end() ? &at->second : nullptr;
}

session_torrent* session_core::find(lt::torrent_handle const& handle) {
    auto const at = by_handle.find(handle);
    return at != by_handle.end() ? find(at->second) : nullptr;
}

// --- adding and removing

void session_core::on(lt::add_torrent_alert const& alert) {
    auto const which = static_cast<id>(reinterpret_cast<std::uintptr_t>(alert.params.userdata.get<void>()));
    auto* const torrent = find(which);
    if (torrent == nullptr) {
        return;
    }
    if (alert.error) {
        auto* const listener = torrent->listener;
        if (!torrent->removing) {
            listener->on_torrent_error(alert.error.message());
        }
        torrents.erase(which);
        choose_connection_speed();
        listener->on_removed();
        return;
    }
    by_handle[alert.handle] = which;
    if (torrent->removing) {
        session->remove_torrent(alert.handle);
        return;
    }
    torrent->start(alert.handle);
}

void session_core::on(lt::torrent_removed_alert const& alert) {
    auto const at = by_handle.find(alert.handle);
    if (at == by_handle.end()) {
        return;
    }
    auto const which = at->second;
    by_handle.erase(at);
    auto* const listener = torrents.at(which).listener;
    torrents.erase(which);
    choose_connection_speed();
    listener->on_removed();
}

// --- events of a torrent

void session_core::on(lt::state_changed_alert const& alert) {
    auto* const torrent = find(alert.handle);
    if (torrent == nullptr) {
        return;
    }
    // libtorrent hashes each piece of a target before it first serves it. After a mismatch it checks the whole device.
    // The pieces of a source are compared in the backend, which reports a mismatch itself.
    if (torrent->hash_before_serving && torrent->complete && alert.state == lt::torrent_status::checking_resume_data) {
        torrent->complete = false;
        torrent->listener->on_content_differs();
    }
}

void session_core::on(lt::torrent_checked_alert const& alert) {
    auto* const torrent = find(alert.handle);
    if (torrent != nullptr && !std::exchange(torrent->checked, true)) {
        torrent->listener->on_checked();
    }
}

void session_core::on(lt::torrent_finished_alert const& alert) {
    auto* const torrent = find(alert.handle);
    if (torrent != nullptr && !std::exchange(torrent->complete, true)) {
        torrent->listener->on_complete();
    }
}

void session_core::on(lt::torrent_error_alert const& alert) {
    if (auto* const torrent = find(alert.handle)) {
        torrent->listener->on_torrent_error(alert.error.message());
    }
}

void session_core::on(lt::hash_failed_alert const& alert) {
    if (auto* const torrent = find(alert.handle)) {
        torrent->listener->on_piece_damaged(static_cast<int>(alert.piece_index));
    }
}

void session_core::on(lt::peer_ban_alert const& alert) {
    if (auto* const torrent = find(alert.handle)) {
        torrent->banned->add(alert.endpoint.address());
        torrent->listener->on_peer_banned(alert.endpoint, std::max(torrent->sources - 1, 0));
    }
}

void session_core::on(lt::save_resume_data_alert const& alert) {
    if (auto* const torrent = find(alert.handle)) {
        torrent->listener->on_pieces(to_pieces(alert.params.have_pieces));
    }
}

void session_core::on(lt::state_update_alert const& alert) {
    for (auto const& status : alert.status) {
        if (auto* const torrent = find(status.handle)) {
            torrent->connected = status.num_peers;
            torrent->sources = status.num_seeds;
            torrent->listener->on_progress(torrent->take_progress(status));
        }
    }
    own.on_peers();
}

// --- events of the session

void session_core::on(lt::session_stats_alert const& alert) {
    static int const peers = lt::find_metric_idx("peer.num_peers_connected");
    share_send_buffers(alert.counters()[peers]);
    last_pong = std::chrono::steady_clock::now();
    for (auto const& call : std::exchange(pings, {})) {
        call();
    }
    listeners.settle();
}

void session_core::share_send_buffers(std::int64_t peers) {
    stats_asked = false;
    lt::settings_pack wanted;
    set_send_buffer_settings(wanted, pool_bytes() / own.network.shards, peers);
    auto const per_peer = wanted.get_int(lt::settings_pack::send_buffer_watermark);
    if (std::exchange(send_buffer, per_peer) != per_peer) {
        session->apply_settings(std::move(wanted));
    }
}

/// Seeds reconnect slowly: two seeds only disconnect each other, and a peer that needs pieces connects by itself. A
/// network shard also connects to peers that came to another shard, and must do that quickly.
void session_core::choose_reconnect_time() {
    auto const incomplete = [](auto const& each) { return !each.second.complete; };
    auto const fast = own.network.shards > 1 || std::ranges::any_of(torrents, incomplete);
    if (session && std::exchange(fast_reconnect, fast) != fast) {
        lt::settings_pack pack;
        set_reconnect_setting(pack, fast);
        session->apply_settings(std::move(pack));
    }
}

void session_core::on(lt::listen_failed_alert const& alert) {
    if (alert.socket_type != lt::socket_type_t::tcp) {
        return; // uTP is off, but libtorrent opens its sockets anyway
    }
    ip_endpoint const address{to_ip_address(alert.address), static_cast<std::uint16_t>(alert.port)};
    if (listeners.settled() && is_exhaustion(alert.error)) {
        pause_accepting(address, alert.error.message());
        return;
    }
    listeners.failed(address, alert.error.message(), own.network.listen);
}

void session_core::pause_accepting(ip_endpoint const& address, std::string const& cause) {
    if (!session || !accepts.begin()) {
        return;
    }
    if (accepts.is_news(std::chrono::steady_clock::now())) {
        log_warning({}, "cannot accept peers on " + to_string(address) + ": " + cause + "; trying again every second");
    }
    lt::settings_pack closed;
    closed.set_str(lt::settings_pack::listen_interfaces, "");
    session->apply_settings(std::move(closed));
    accept_timer.expires_after(accept_pause::length);
    accept_timer.async_wait([weak = weak_from_this()](boost::system::error_code const& ec) {
        if (auto const self = weak.lock(); self && !ec) {
            self->resume_accepting();
        }
    });
}

void session_core::resume_accepting() {
    accepts.end();
    if (!session) {
        return;
    }
    lt::settings_pack pack;
    set_network_settings(pack, own.network); // also the connection limit, which libtorrent has lowered
    session->apply_settings(std::move(pack));
}

void session_core::on(lt::listen_succeeded_alert const& alert) {
    if (alert.socket_type == lt::socket_type_t::tcp) {
        listeners.opened({to_ip_address(alert.address), static_cast<std::uint16_t>(alert.port)});
    }
}

void session_core::on(lt::alerts_dropped_alert const&) {
    if (auto const note = dropped_alerts.take_noting(allowance::clock::now())) {
        log_warning({}, "libtorrent dropped alerts because the main thread is too busy; displays may be out of date" +
                            *note);
    }
}

// --- peers and trackers

/// See set_failure_limit_setting().
void session_core::try_peers_forever() {
    even_failure_limit = !even_failure_limit;
    lt::settings_pack pack;
    set_failure_limit_setting(pack, even_failure_limit);
    session->apply_settings(std::move(pack));
}

void session_core::on(lt::peer_connect_alert const& alert) {
    if (auto* const torrent = find(alert.handle)) {
        auto const peer = to_text(alert.endpoint);
        log_debug({torrent->name, {}, peer}, "peer " + peer + " connected");
        if (!std::exchange(torrent->had_peer, true)) {
            try_peers_forever();
        }
    }
    if (!std::exchange(stats_asked, true)) {
        session->post_session_stats(); // for the number of peers, see share_send_buffers()
    }
    own.on_activity();
}

void session_core::on(lt::peer_disconnected_alert const& alert) {
    if (auto const* const torrent = find(alert.handle)) {
        auto const peer = to_text(alert.endpoint);
        log_debug({torrent->name, {}, peer}, "peer " + peer + " disconnected: " + alert.error.message());
    }
}

void session_core::on(lt::peer_error_alert const& alert) {
    auto* const torrent = find(alert.handle);
    // libtorrent names no URL, and does not connect to this server again.
    if (torrent != nullptr && alert.error == lt::errors::invalid_range) {
        torrent->log_web_seed(to_text(alert.endpoint), "it answers with the whole file instead of the requested part; "
                                                       "serve the file with a web server that serves ranges");
    }
}

void session_core::on(lt::url_seed_alert const& alert) {
    if (auto* const torrent = find(alert.handle)) {
        auto const* const reason = alert.error_message();
        auto const given = reason != nullptr && *reason != '\0';
        torrent->log_web_seed(alert.server_url(), given ? reason : alert.error.message());
    }
}

void session_core::on(lt::tracker_error_alert const& alert) {
    auto* const torrent = find(alert.handle);
    // A tracker with several addresses is skipped at an address where it has failed before.
    if (torrent != nullptr && alert.error != lt::errors::announce_skipped) {
        auto const* const reason = alert.failure_reason();
        auto const given = reason != nullptr && *reason != '\0';
        torrent->log_tracker(alert.tracker_url(), given ? reason : alert.error.message());
    }
}

void session_core::on(lt::tracker_reply_alert const& alert) {
    if (auto* const torrent = find(alert.handle)) {
        torrent->log_tracker(alert.tracker_url(), "");
    }
}

} // namespace seedbed
