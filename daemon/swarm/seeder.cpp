#include "daemon/swarm/seeder.hpp"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <utility>

#include <boost/asio/post.hpp>
#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/announce_entry.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/session_stats.hpp>
#include <libtorrent/torrent_handle.hpp>
#include <libtorrent/torrent_info.hpp>
#include <libtorrent/torrent_status.hpp>

#include "daemon/service/logging.hpp"
#include "daemon/swarm/session_settings.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

/// "ADDRESS:PORT", checked by the configuration.
std::optional<lt::tcp::endpoint> parse_endpoint(std::string const& text) {
    auto const colon = text.rfind(':');
    if (colon == std::string::npos) {
        return std::nullopt;
    }
    auto host = text.substr(0, colon);
    if (host.starts_with('[') && host.ends_with(']')) {
        host = host.substr(1, host.size() - 2);
    }
    lt::error_code ec;
    auto const address = boost::asio::ip::make_address(host, ec);
    auto const port = std::atoi(text.c_str() + colon + 1);
    if (ec || port <= 0 || port > 65535) {
        return std::nullopt;
    }
    return lt::tcp::endpoint(address, static_cast<std::uint16_t>(port));
}

std::string to_text(lt::tcp::endpoint const& endpoint) {
    auto const address = endpoint.address().to_string();
    auto const port = ":" + std::to_string(endpoint.port());
    return endpoint.address().is_v6() ? "[" + address + "]" + port : address + port;
}

swarm_progress to_progress(lt::torrent_status const& status) {
    swarm_progress progress;
    using state = lt::torrent_status;
    progress.current = status.is_seeding ? swarm_progress::phase::complete
                       : status.state == state::checking_files || status.state == state::checking_resume_data
                           ? swarm_progress::phase::checking
                           : swarm_progress::phase::downloading;
    progress.fraction = static_cast<double>(status.progress_ppm) / 1e6;
    progress.bytes_left = status.total_wanted - status.total_wanted_done;
    progress.downloaded = status.total_payload_download;
    progress.uploaded = status.total_payload_upload;
    progress.download_rate = status.download_payload_rate;
    progress.upload_rate = status.upload_payload_rate;
    progress.peers = status.num_peers;
    return progress;
}

} // namespace

/// Shared with the wake-ups on their way through the io_context, which may outlive the seeder.
struct seeder::implementation : std::enable_shared_from_this<seeder::implementation> {
    struct torrent {
        swarm_listener* listener = nullptr;
        std::string name;
        image_mode mode = image_mode::seed;
        std::vector<std::string> peers;
        std::vector<std::string> trackers;            ///< of the configuration
        std::vector<lt::announce_entry> own_trackers; ///< of the .torrent
        lt::torrent_handle handle;                    ///< valid once libtorrent has added it
        bool added = false;
        bool trackers_changed = false; ///< before it was added
        bool remove = false;           ///< asked for before it was added
        bool complete = false;
        bool checked = false;
        std::string tracker_error; ///< the last one logged
    };

    boost::asio::io_context& main;
    network_settings network;
    std::function<void()> on_activity;
    std::map<id, torrent> torrents;
    std::map<lt::torrent_handle, id> by_handle;
    id next_id = 1;

    std::atomic<bool> woken{false}; ///< set by the network thread, cleared when alerts are taken
    std::chrono::steady_clock::time_point last_pong = std::chrono::steady_clock::now();
    std::function<void(result<void>)> listening;
    int listeners_open = 0;
    std::string listen_error;
    bool listening_known = false;

    std::shared_ptr<backend> pool; ///< whose blocks wait to be sent
    int send_buffer = 0;           ///< bytes for each peer, as set last; 0 for the first setting
    bool stats_asked = false;      ///< since a peer came

    std::unique_ptr<lt::session> session;
    std::vector<lt::alert*> alerts; ///< memory for the next batch

    implementation(boost::asio::io_context& main_context, network_settings wanted, std::function<void()> activity)
        : main(main_context)
        , network(std::move(wanted))
        , on_activity(std::move(activity)) {}

    void open(std::shared_ptr<backend> shared, std::int64_t queued_bytes) {
        lt::session_params params(make_session_settings(network, queued_bytes));
        pool = shared;
        params.disk_io_constructor = [shared = std::move(shared)](lt::io_context& context,
                                                                  lt::settings_interface const& settings,
                                                                  lt::counters& counters) {
            return make_disk_io(shared, context, settings, counters);
        };
        session = std::make_unique<lt::session>(std::move(params));
        session->set_alert_notify([weak = weak_from_this(), &context = main] {
            auto const self = weak.lock();
            if (self && !self->woken.exchange(true)) {
                boost::asio::post(context, [self] { self->take_alerts(); });
            }
        });
        // Listeners are opened before the network thread answers anything: its first answer says that all were tried.
        session->post_session_stats();
    }

    void take_alerts() {
        woken.store(false);
        if (!session) {
            return;
        }
        session->pop_alerts(&alerts);
        for (auto const* alert : alerts) {
            dispatch(*alert);
        }
    }

    void dispatch(lt::alert const& alert);
    void on_added(lt::add_torrent_alert const& alert);
    void on_removed(lt::torrent_handle const& handle);
    void on_state(lt::state_changed_alert const& alert);
    void on_tracker(torrent& which, std::string const& url, std::string const& error);
    void on_listen_failed(lt::listen_failed_alert const& alert);
    void on_pong();
    void on_peer_count(std::int64_t peers);

    torrent* find(lt::torrent_handle const& handle) {
        auto const at = by_handle.find(handle);
        return at != by_handle.end() ? &torrents.at(at->second) : nullptr;
    }

    static void replace_trackers(torrent const& which) {
        auto all = which.own_trackers;
        for (auto const& url : which.trackers) {
            all.emplace_back(url);
        }
        which.handle.replace_trackers(all);
    }

    static void connect_peers(torrent const& which) {
        for (auto const& peer : which.peers) {
            if (auto const endpoint = parse_endpoint(peer)) {
                which.handle.connect_peer(*endpoint);
            }
        }
    }
};

void seeder::implementation::on_pong() {
    last_pong = std::chrono::steady_clock::now();
    if (listening_known) {
        return;
    }
    listening_known = true;
    if (listeners_open == 0 && listen_error.empty()) {
        listen_error = "none of the addresses to listen on could be opened";
    }
    if (listening) {
        auto const call = std::exchange(listening, nullptr);
        call(listen_error.empty() ? result<void>{} : tl::unexpected(error{listen_error}));
    }
}

void seeder::implementation::on_peer_count(std::int64_t peers) {
    stats_asked = false;
    auto const pool_bytes = static_cast<std::int64_t>(pool->pool().capacity()) * block_size;
    lt::settings_pack wanted;
    set_send_buffer_settings(wanted, pool_bytes, peers);
    auto const most = wanted.get_int(lt::settings_pack::send_buffer_watermark);
    if (std::exchange(send_buffer, most) != most) {
        session->apply_settings(std::move(wanted));
    }
}

void seeder::implementation::on_listen_failed(lt::listen_failed_alert const& alert) {
    if (alert.socket_type != lt::socket_type_t::tcp) {
        return; // uTP is off; libtorrent opens its sockets all the same
    }
    auto const address = to_text({alert.address, static_cast<std::uint16_t>(alert.port)});
    auto const reason = "listen on " + address + ": " + alert.error.message();
    auto const configured = std::find(network.listen.begin(), network.listen.end(), address) != network.listen.end();
    if (listening_known) {
        log_error({}, reason);
    } else if (configured) {
        listen_error = reason;
    } else {
        // One of the addresses that a wildcard stands for: others may do.
        log_warning({}, reason + ", ignoring");
    }
}

void seeder::implementation::on_added(lt::add_torrent_alert const& alert) {
    auto const which = static_cast<id>(reinterpret_cast<std::uintptr_t>(alert.params.userdata.get<void>()));
    auto const at = torrents.find(which);
    if (at == torrents.end()) {
        return;
    }
    auto& added = at->second;
    if (alert.error) {
        auto* const listener = added.listener;
        auto const removed = added.remove;
        if (!removed) {
            listener->on_swarm_error(alert.error.message());
        }
        torrents.erase(which);
        listener->on_removed();
        return;
    }
    added.handle = alert.handle;
    added.added = true;
    by_handle[alert.handle] = which;
    if (added.remove) {
        session->remove_torrent(added.handle);
        return;
    }
    connect_peers(added);
    if (added.trackers_changed) {
        replace_trackers(added);
    }
}

void seeder::implementation::on_removed(lt::torrent_handle const& handle) {
    auto const at = by_handle.find(handle);
    if (at == by_handle.end()) {
        return;
    }
    auto const which = at->second;
    by_handle.erase(at);
    auto* const listener = torrents.at(which).listener;
    torrents.erase(which);
    listener->on_removed();
}

void seeder::implementation::on_state(lt::state_changed_alert const& alert) {
    auto* const which = find(alert.handle);
    if (which == nullptr) {
        return;
    }
    if (which->mode == image_mode::seed && which->complete && alert.state == lt::torrent_status::checking_resume_data) {
        // libtorrent hashes a piece before it serves it the first time. This one was not what the torrent says.
        which->complete = false;
        which->listener->on_content_differs();
    }
}

void seeder::implementation::on_tracker(torrent& which, std::string const& url, std::string const& error) {
    auto const text = error.empty() ? "" : "tracker " + url + ": " + error;
    if (text == which.tracker_error) {
        return; // an announce is repeated for ever: what it says is logged when it changes
    }
    which.tracker_error = text;
    if (text.empty()) {
        log_info({which.name, {}, {}}, "tracker " + url + " answers");
    } else {
        log_warning({which.name, {}, {}}, text);
    }
}

void seeder::implementation::dispatch(lt::alert const& alert) {
    if (auto const* added = lt::alert_cast<lt::add_torrent_alert>(&alert)) {
        on_added(*added);
    } else if (auto const* removed = lt::alert_cast<lt::torrent_removed_alert>(&alert)) {
        on_removed(removed->handle);
    } else if (auto const* stats = lt::alert_cast<lt::session_stats_alert>(&alert)) {
        static int const peers = lt::find_metric_idx("peer.num_peers_connected");
        on_peer_count(stats->counters()[peers]);
        on_pong();
    } else if (auto const* updates = lt::alert_cast<lt::state_update_alert>(&alert)) {
        for (auto const& status : updates->status) {
            if (auto* const which = find(status.handle)) {
                which->listener->on_progress(to_progress(status));
            }
        }
    } else if (auto const* state = lt::alert_cast<lt::state_changed_alert>(&alert)) {
        on_state(*state);
    } else if (auto const* checked = lt::alert_cast<lt::torrent_checked_alert>(&alert)) {
        if (auto* const which = find(checked->handle); which != nullptr && !which->checked) {
            which->checked = true;
            which->listener->on_checked();
        }
    } else if (auto const* finished = lt::alert_cast<lt::torrent_finished_alert>(&alert)) {
        if (auto* const which = find(finished->handle); which != nullptr && !which->complete) {
            which->complete = true;
            which->listener->on_complete();
        }
    } else if (auto const* broken = lt::alert_cast<lt::torrent_error_alert>(&alert)) {
        if (auto* const which = find(broken->handle)) {
            which->listener->on_swarm_error(broken->error.message());
        }
    } else if (auto const* hash = lt::alert_cast<lt::hash_failed_alert>(&alert)) {
        if (auto* const which = find(hash->handle)) {
            which->listener->on_piece_damaged(static_cast<int>(hash->piece_index));
        }
    } else if (auto const* failed = lt::alert_cast<lt::listen_failed_alert>(&alert)) {
        on_listen_failed(*failed);
    } else if (auto const* opened = lt::alert_cast<lt::listen_succeeded_alert>(&alert)) {
        if (opened->socket_type == lt::socket_type_t::tcp) {
            ++listeners_open;
            log_debug({}, "listening on " + to_text({opened->address, static_cast<std::uint16_t>(opened->port)}));
        }
    } else if (auto const* connected = lt::alert_cast<lt::peer_connect_alert>(&alert)) {
        if (auto* const which = find(connected->handle)) {
            auto const peer = to_text(connected->endpoint);
            log_debug({which->name, {}, peer}, "peer " + peer + " connected");
        }
        if (!std::exchange(stats_asked, true)) {
            session->post_session_stats(); // tells how many there are now
        }
        on_activity();
    } else if (auto const* gone = lt::alert_cast<lt::peer_disconnected_alert>(&alert)) {
        if (auto* const which = find(gone->handle)) {
            auto const peer = to_text(gone->endpoint);
            log_debug({which->name, {}, peer}, "peer " + peer + " disconnected: " + gone->error.message());
        }
    } else if (auto const* tracker = lt::alert_cast<lt::tracker_error_alert>(&alert)) {
        if (auto* const which = find(tracker->handle)) {
            auto const* const said = tracker->failure_reason();
            on_tracker(*which, tracker->tracker_url(),
                       said != nullptr && *said != '\0' ? said : tracker->error.message());
        }
    } else if (auto const* reply = lt::alert_cast<lt::tracker_reply_alert>(&alert)) {
        if (auto* const which = find(reply->handle)) {
            on_tracker(*which, reply->tracker_url(), "");
        }
    } else if (lt::alert_cast<lt::alerts_dropped_alert>(&alert) != nullptr) {
        log_warning({}, "libtorrent dropped messages: the main thread was too slow");
    }
}

seeder::seeder(boost::asio::io_context& main, std::shared_ptr<backend> shared, network_settings const& network,
               std::int64_t queued_bytes, std::function<void()> on_activity)
    : m_impl(std::make_shared<implementation>(main, network, std::move(on_activity))) {
    m_impl->open(std::move(shared), queued_bytes);
}

seeder::~seeder() = default;

void seeder::when_listening(std::function<void(result<void>)> handler) {
    m_impl->listening = std::move(handler);
}

seeder::id seeder::add(swarm_entry const& entry, swarm_listener& listener) {
    auto const which = m_impl->next_id++;
    auto& added = m_impl->torrents[which];
    added.listener = &listener;
    added.name = entry.name;
    added.mode = entry.mode;
    added.peers = entry.peers;
    added.trackers = entry.trackers;
    added.own_trackers = entry.torrent->info->trackers();

    lt::add_torrent_params params;
    params.ti = entry.torrent->info;
    params.save_path = "/"; // libtorrent wants one; the backend finds the device by the info-hash
    params.trackers = entry.trackers;
    params.flags = lt::torrent_flags::update_subscribe | lt::torrent_flags::apply_ip_filter;
    if (entry.mode == image_mode::seed) {
        // Complete by promise: each piece is hashed before it is served the first time. Upload mode keeps libtorrent
        // from asking peers for what a source may turn out to lack.
        params.flags |= lt::torrent_flags::seed_mode | lt::torrent_flags::upload_mode;
        added.complete = true;
    }
    params.userdata = lt::client_data_t(reinterpret_cast<void*>(static_cast<std::uintptr_t>(which)));
    m_impl->session->async_add_torrent(std::move(params));
    return which;
}

void seeder::remove(id torrent) {
    auto& removed = m_impl->torrents.at(torrent);
    removed.remove = true;
    if (removed.added) {
        m_impl->session->remove_torrent(removed.handle);
    }
}

void seeder::update(id torrent, std::vector<std::string> const& peers, std::vector<std::string> const& trackers) {
    auto& updated = m_impl->torrents.at(torrent);
    updated.peers = peers;
    updated.trackers_changed = updated.trackers != trackers;
    updated.trackers = trackers;
    if (!updated.added) {
        return;
    }
    m_impl->connect_peers(updated);
    if (updated.trackers_changed) {
        m_impl->replace_trackers(updated);
    }
}

void seeder::apply(network_settings const& network) {
    m_impl->network = network;
    lt::settings_pack pack;
    set_network_settings(pack, network);
    m_impl->session->apply_settings(std::move(pack));
}

void seeder::set_queued_bytes(std::int64_t bytes) {
    lt::settings_pack pack;
    set_queued_bytes_setting(pack, bytes);
    m_impl->session->apply_settings(std::move(pack));
}

void seeder::request_progress() {
    m_impl->session->post_torrent_updates(lt::torrent_handle::query_accurate_download_counters);
}

void seeder::ping() {
    m_impl->session->post_session_stats();
}

std::chrono::steady_clock::time_point seeder::last_pong() const noexcept {
    return m_impl->last_pong;
}

void seeder::shut_down(worker_pool& worker, std::function<void()> done) {
    auto* const session = m_impl->session.release();
    session->set_alert_notify({});
    worker.submit([session, &main = m_impl->main, done = std::move(done)] {
        delete session; // waits for the network thread
        boost::asio::post(main, done);
    });
}

} // namespace seedbed
