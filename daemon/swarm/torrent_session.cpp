#include "daemon/swarm/torrent_session.hpp"

#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <utility>

#include <boost/asio/post.hpp>
#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/alert_types.hpp>
#include <libtorrent/announce_entry.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/hex.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/peer_info.hpp>
#include <libtorrent/session.hpp>
#include <libtorrent/session_params.hpp>
#include <libtorrent/session_stats.hpp>
#include <libtorrent/torrent_handle.hpp>
#include <libtorrent/torrent_info.hpp>
#include <libtorrent/torrent_status.hpp>

#include "core/foundation/printable.hpp"
#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/log/logging.hpp"
#include "daemon/swarm/offer_extension.hpp"
#include "daemon/swarm/rate_meter.hpp"
#include "daemon/swarm/report_extension.hpp"
#include "daemon/swarm/session_settings.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

std::string to_text(lt::tcp::endpoint const& endpoint) {
    auto const address = endpoint.address().to_string();
    auto const port = ":" + std::to_string(endpoint.port());
    return endpoint.address().is_v6() ? "[" + address + "]" + port : address + port;
}

/// libtorrent's -1 is no limit.
int to_limit(std::int64_t bytes_a_second) {
    return bytes_a_second == 0 ? -1 : static_cast<int>(bytes_a_second);
}

/// Has the session's limits on rates and upload slots apply to all addresses.
lt::ip_filter limits_for_everybody() {
    using boost::asio::ip::make_address;
    constexpr std::uint32_t global = 1U << static_cast<std::uint32_t>(lt::session::global_peer_class_id);
    lt::ip_filter everybody;
    everybody.add_rule(make_address("0.0.0.0"), make_address("255.255.255.255"), global);
    everybody.add_rule(make_address("::"), make_address("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"), global);
    return everybody;
}

/// Of a torrent's payload.
struct rate_meters {
    rate_meter download;
    rate_meter upload;
};

torrent_progress to_progress(lt::torrent_status const& status, rate_meters& rates) {
    torrent_progress progress;
    using state = lt::torrent_status;
    progress.current = status.is_seeding ? torrent_progress::phase::complete
                       : status.state == state::checking_files || status.state == state::checking_resume_data
                           ? torrent_progress::phase::checking
                           : torrent_progress::phase::downloading;
    progress.fraction = static_cast<double>(status.progress_ppm) / 1e6;
    progress.bytes_left = status.total_wanted - status.total_wanted_done;
    progress.downloaded = status.total_payload_download;
    progress.uploaded = status.total_payload_upload;
    auto const now = rate_meter::clock::now();
    progress.download_rate = rates.download.add(now, progress.downloaded);
    progress.upload_rate = rates.upload.add(now, progress.uploaded);
    progress.peers = status.num_peers;
    return progress;
}

peer_status to_peer_status(lt::peer_info const& peer) {
    peer_status status;
    status.address = peer.ip.address().to_string();
    status.port = peer.ip.port();
    status.incoming = !(peer.flags & lt::peer_info::outgoing_connection);
    status.id = lt::aux::to_hex(peer.pid);
    status.client = printable(peer.client);
    status.fraction = static_cast<double>(peer.progress_ppm) / 1e6;
    status.seed = bool(peer.flags & lt::peer_info::seed);
    // libtorrent's rates fade for a minute; a silent peer has none.
    if (peer.last_active < std::chrono::seconds(2)) {
        status.download_rate = peer.payload_down_speed;
        status.upload_rate = peer.payload_up_speed;
    }
    status.downloaded = peer.total_download;
    status.uploaded = peer.total_upload;
    return status;
}

/// Names the network thread: added() runs there.
class thread_namer final : public lt::plugin {
public:
    explicit thread_namer(std::string name)
        : m_name(std::move(name)) {}
    void added(lt::session_handle const&) override {
        static_cast<void>(pthread_setname_np(pthread_self(), m_name.c_str()));
    }

private:
    std::string const m_name;
};

} // namespace

/// Shared with the wake-ups on their way through the io_context, which may outlive the session.
struct torrent_session::implementation : std::enable_shared_from_this<torrent_session::implementation> {
    struct torrent {
        torrent_listener* listener = nullptr;
        std::string name;
        image_mode mode = image_mode::seed;
        std::vector<ip_endpoint> peers;
        std::vector<std::string> trackers;            ///< of the configuration
        std::vector<lt::announce_entry> own_trackers; ///< of the .torrent
        lt::torrent_handle handle;                    ///< valid once libtorrent has added it
        bool added = false;
        bool trackers_changed = false; ///< before it was added
        bool remove = false;           ///< asked for before it was added
        bool complete = false;
        bool checked = false;
        std::int64_t upload_limit = 0;
        bool super_seeding = false;
        /// The same, for libtorrent's network thread: it decides then what is offered.
        std::shared_ptr<std::atomic<bool>> super_offers = std::make_shared<std::atomic<bool>>(false);
        int connected = 0; ///< peers, as was told last
        rate_meters rates;
        bool hash_before_serving = false;
        std::string tracker_error; ///< the last one logged
        std::function<void(std::string const&, std::uint16_t)> on_report_port;
    };

    boost::asio::io_context& main;
    options own;
    std::map<id, torrent> torrents;
    std::map<lt::torrent_handle, id> by_handle;

    std::atomic<bool> woken{false}; ///< set by the network thread, cleared when alerts are taken
    std::chrono::steady_clock::time_point last_pong = std::chrono::steady_clock::now();
    std::vector<std::function<void()>> pings; ///< to be told of the next one
    std::function<void(result<void>)> listening;
    int listeners_open = 0;
    std::string listen_error;
    bool listening_known = false;

    std::shared_ptr<backend> pool; ///< whose blocks wait to be sent
    std::shared_ptr<std::atomic<bool>> const read_once = std::make_shared<std::atomic<bool>>(own.network.read_once);
    int send_buffer = 0;      ///< bytes for each peer, as set last; 0 for the first setting
    bool stats_asked = false; ///< since a peer came
    bool hasty = true;        ///< peers are tried again at once, as from the beginning

    std::unique_ptr<lt::session> session;
    std::vector<lt::alert*> alerts; ///< memory for the next batch

    implementation(boost::asio::io_context& main_context, options wanted)
        : main(main_context)
        , own(std::move(wanted)) {}

    void open(std::shared_ptr<backend> shared) {
        lt::session_params params(make_session_settings(own.network, own.queued_bytes));
        pool = shared;
        params.disk_io_constructor = [shared = std::move(shared)](lt::io_context& context,
                                                                  lt::settings_interface const& settings,
                                                                  lt::counters& counters) {
            return make_disk_io(shared, context, settings, counters);
        };
        session = std::make_unique<lt::session>(std::move(params));
        session->add_extension(std::make_shared<thread_namer>(own.thread));
        // By default libtorrent knows limits for peers that are far away only: here all are near.
        session->set_peer_class_filter(limits_for_everybody());
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
        choose_haste();
    }

    /// Who has everything is in no hurry: two of them hang up on each other each time, and who lacks something comes by
    /// himself. A network shard, though, calls peers that came to another one.
    void choose_haste() {
        auto const fetching = own.network.shards > 1 ||
                              std::ranges::any_of(torrents, [](auto const& each) { return !each.second.complete; });
        if (std::exchange(hasty, fetching) != fetching && session) {
            lt::settings_pack pack;
            set_reconnect_setting(pack, fetching);
            session->apply_settings(std::move(pack));
        }
    }

    void dispatch(lt::alert const& alert);
    void on_added(lt::add_torrent_alert const& alert);
    void on_removed(lt::torrent_handle const& handle);
    void on_state(lt::state_changed_alert const& alert);
    void on_tracker(torrent& which, std::string const& url, std::string const& error);
    void on_listen_failed(lt::listen_failed_alert const& alert);
    void on_pong();
    void share_send_buffers(std::int64_t peers);

    /// A handler for the network thread that has \p call(torrent) run on the main thread, unless it is gone by then.
    template <class Call>
    auto on_main(id which, Call call) {
        return [weak = weak_from_this(), &context = main, which, call = std::move(call)](auto... arguments) {
            boost::asio::post(context, [weak, which, call, arguments...] {
                auto const self = weak.lock();
                if (!self) {
                    return;
                }
                if (auto const at = self->torrents.find(which); at != self->torrents.end()) {
                    call(at->second, arguments...);
                }
            });
        };
    }

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
            which.handle.connect_peer(to_tcp_endpoint(peer));
        }
    }
};

void torrent_session::implementation::on_pong() {
    last_pong = std::chrono::steady_clock::now();
    for (auto const& call : std::exchange(pings, {})) {
        call();
    }
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

void torrent_session::implementation::share_send_buffers(std::int64_t peers) {
    stats_asked = false;
    auto const pool_bytes = static_cast<std::int64_t>(pool->pool().capacity()) * block_size / own.network.shards;
    lt::settings_pack wanted;
    set_send_buffer_settings(wanted, pool_bytes, peers);
    auto const most = wanted.get_int(lt::settings_pack::send_buffer_watermark);
    if (std::exchange(send_buffer, most) != most) {
        session->apply_settings(std::move(wanted));
    }
}

void torrent_session::implementation::on_listen_failed(lt::listen_failed_alert const& alert) {
    if (alert.socket_type != lt::socket_type_t::tcp) {
        return; // uTP is off; libtorrent opens its sockets all the same
    }
    boost::asio::ip::tcp::endpoint const address(alert.address, static_cast<std::uint16_t>(alert.port));
    auto const reason = "listen on " + to_text(address) + ": " + alert.error.message();
    auto const configured = std::ranges::find(own.network.listen, address, to_tcp_endpoint) != own.network.listen.end();
    if (listening_known) {
        log_error({}, reason);
    } else if (configured) {
        listen_error = reason;
    } else {
        // One of the addresses that a wildcard stands for: others may do.
        log_warning({}, reason + ", ignoring");
    }
}

void torrent_session::implementation::on_added(lt::add_torrent_alert const& alert) {
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
            listener->on_torrent_error(alert.error.message());
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
    // A reload may have changed these since.
    added.handle.set_upload_limit(to_limit(added.upload_limit));
    added.handle.set_flags(added.super_seeding ? lt::torrent_flags::super_seeding : lt::torrent_flags_t{},
                           lt::torrent_flags::super_seeding);
    connect_peers(added);
    if (added.trackers_changed) {
        replace_trackers(added);
    }
}

void torrent_session::implementation::on_removed(lt::torrent_handle const& handle) {
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

void torrent_session::implementation::on_state(lt::state_changed_alert const& alert) {
    auto* const which = find(alert.handle);
    if (which == nullptr) {
        return;
    }
    if (which->hash_before_serving && which->complete && alert.state == lt::torrent_status::checking_resume_data) {
        // libtorrent hashes a piece before it serves it the first time. This one was not what the torrent says.
        which->complete = false;
        which->listener->on_content_differs();
    }
}

void torrent_session::implementation::on_tracker(torrent& which, std::string const& url, std::string const& error) {
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

void torrent_session::implementation::dispatch(lt::alert const& alert) {
    if (auto const* added = lt::alert_cast<lt::add_torrent_alert>(&alert)) {
        on_added(*added);
    } else if (auto const* removed = lt::alert_cast<lt::torrent_removed_alert>(&alert)) {
        on_removed(removed->handle);
    } else if (auto const* stats = lt::alert_cast<lt::session_stats_alert>(&alert)) {
        static int const peers = lt::find_metric_idx("peer.num_peers_connected");
        share_send_buffers(stats->counters()[peers]);
        on_pong();
    } else if (auto const* updates = lt::alert_cast<lt::state_update_alert>(&alert)) {
        for (auto const& status : updates->status) {
            if (auto* const which = find(status.handle)) {
                which->connected = status.num_peers;
                which->listener->on_progress(to_progress(status, which->rates));
            }
        }
        own.on_peers();
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
            which->listener->on_torrent_error(broken->error.message());
        }
    } else if (auto const* hash = lt::alert_cast<lt::hash_failed_alert>(&alert)) {
        if (auto* const which = find(hash->handle)) {
            which->listener->on_piece_damaged(static_cast<int>(hash->piece_index));
        }
    } else if (auto const* resume = lt::alert_cast<lt::save_resume_data_alert>(&alert)) {
        if (auto* const which = find(resume->handle)) {
            auto const& have = resume->params.have_pieces;
            std::vector<bool> there(static_cast<std::size_t>(have.size()));
            std::copy(have.begin(), have.end(), there.begin());
            which->listener->on_pieces(there);
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
        own.on_activity();
    } else if (auto const* gone = lt::alert_cast<lt::peer_disconnected_alert>(&alert)) {
        if (auto* const which = find(gone->handle)) {
            auto const peer = to_text(gone->endpoint);
            log_debug({which->name, {}, peer}, "peer " + peer + " disconnected: " + gone->error.message());
        }
    } else if (auto const* tracker = lt::alert_cast<lt::tracker_error_alert>(&alert)) {
        auto const skipped = tracker->error == lt::errors::announce_skipped; // from one of several addresses
        if (auto* const which = find(tracker->handle); which != nullptr && !skipped) {
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

torrent_session::torrent_session(boost::asio::io_context& main, std::shared_ptr<backend> shared, options wanted)
    : m_impl(std::make_shared<implementation>(main, std::move(wanted))) {
    m_impl->open(std::move(shared));
}

torrent_session::~torrent_session() = default;

void torrent_session::when_listening(std::function<void(result<void>)> handler) {
    m_impl->listening = std::move(handler);
}

void torrent_session::add(id which, torrent_spec const& entry, torrent_listener& listener, sharding shards) {
    auto& added = m_impl->torrents[which];
    added.listener = &listener;
    added.name = entry.name;
    added.mode = entry.mode;
    added.peers = entry.peers;
    added.trackers = entry.trackers;
    added.on_report_port = entry.on_report_port;
    added.own_trackers = entry.torrent->info->trackers();
    added.hash_before_serving = entry.hash_before_serving;
    added.upload_limit = entry.upload_limit;
    added.super_seeding = entry.super_seeding;
    added.super_offers->store(entry.super_seeding, std::memory_order_relaxed);

    lt::add_torrent_params params;
    params.ti = entry.torrent->info;
    params.save_path = "/"; // libtorrent wants one; the backend finds the device by the info-hash
    params.trackers = entry.trackers;
    params.flags = lt::torrent_flags::update_subscribe | lt::torrent_flags::apply_ip_filter;
    params.upload_limit = to_limit(entry.upload_limit);
    if (entry.mode == image_mode::seed) {
        // Keeps libtorrent from asking peers for what a source may turn out to lack.
        params.flags |= lt::torrent_flags::upload_mode;
    }
    if (entry.super_seeding) {
        params.flags |= lt::torrent_flags::super_seeding;
    }
    if (entry.hash_before_serving) {
        params.flags |= lt::torrent_flags::seed_mode;
        added.complete = true;
    } else if (entry.pieces) {
        // libtorrent takes them as they are, and asks our disk_io, which trusts them, too.
        params.have_pieces.resize(static_cast<int>(entry.pieces->size()), false);
        for (std::size_t i = 0; i < entry.pieces->size(); ++i) {
            if ((*entry.pieces)[i]) {
                params.have_pieces.set_bit(lt::piece_index_t(static_cast<int>(i)));
            }
        }
    }
    auto const add_extension = [&params](std::shared_ptr<lt::torrent_plugin> extension) {
        params.extensions.emplace_back([extension = std::move(extension)](auto const&, auto) { return extension; });
    };
    add_extension(make_report_extension(
        entry.report_port, m_impl->own.own_ports,
        m_impl->on_main(which, [](auto const& torrent, std::string const& peer, std::uint16_t port) {
            if (torrent.on_report_port) {
                torrent.on_report_port(peer, port);
            }
        })));
    if (shards.places) {
        add_extension(make_shard_gate(std::move(shards.places), m_impl->own.shard, std::move(shards.on_refused)));
    } else if (entry.mode == image_mode::deploy) {
        add_extension(make_shard_guest(m_impl->on_main(which, [](auto const& torrent, lt::tcp::endpoint const& shard) {
            if (torrent.added && !torrent.remove) {
                torrent.handle.connect_peer(shard);
            }
        })));
    }
    // After the gate: whom that refuses takes nothing from others.
    if (entry.mode == image_mode::seed) {
        auto const first_help = [shared = m_impl->pool, wanted = m_impl->read_once, super = added.super_offers,
                                 piece = entry.torrent->info->piece_length(),
                                 total = entry.torrent->extents.total_size()] {
            auto const memory = static_cast<std::int64_t>(shared->pool().capacity()) * block_size;
            auto const decides = wanted->load(std::memory_order_relaxed) && !super->load(std::memory_order_relaxed);
            return decides && total > memory / 8 * 7 ? static_cast<int>(std::max<std::int64_t>(memory / 8 / piece, 1))
                                                     : 0;
        };
        add_extension(make_offer_extension(entry.torrent->piece_count, first_help));
    }
    params.userdata = lt::client_data_t(reinterpret_cast<void*>(static_cast<std::uintptr_t>(which)));
    m_impl->session->async_add_torrent(std::move(params));
}

void torrent_session::remove(id which) {
    auto& removed = m_impl->torrents.at(which);
    removed.remove = true;
    if (removed.added) {
        if (removed.mode == image_mode::deploy) {
            removed.handle.save_resume_data(); // the network thread answers this first
        }
        m_impl->session->remove_torrent(removed.handle);
    }
}

void torrent_session::update(id which, std::vector<ip_endpoint> const& peers,
                             std::vector<std::string> const& trackers) {
    auto& updated = m_impl->torrents.at(which);
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

void torrent_session::connect(id which, boost::asio::ip::tcp::endpoint const& peer) {
    if (auto const& torrent = m_impl->torrents.at(which); torrent.added && !torrent.remove) {
        torrent.handle.connect_peer(peer);
    }
}

void torrent_session::set_upload_limit(id which, std::int64_t bytes_a_second) {
    auto& limited = m_impl->torrents.at(which);
    if (std::exchange(limited.upload_limit, bytes_a_second) != bytes_a_second && limited.added) {
        limited.handle.set_upload_limit(to_limit(bytes_a_second));
    }
}

void torrent_session::set_super_seeding(id which, bool on) {
    auto& changed = m_impl->torrents.at(which);
    changed.super_offers->store(on, std::memory_order_relaxed);
    if (std::exchange(changed.super_seeding, on) != on && changed.added) {
        changed.handle.set_flags(on ? lt::torrent_flags::super_seeding : lt::torrent_flags_t{},
                                 lt::torrent_flags::super_seeding);
    }
}

void torrent_session::request_pieces(id which) {
    if (auto const& asked = m_impl->torrents.at(which); asked.added) {
        asked.handle.save_resume_data();
    }
}

void torrent_session::apply(network_settings const& network, std::vector<std::uint16_t> const& own_ports) {
    m_impl->own.own_ports = own_ports;
    if (m_impl->own.network == network || !m_impl->session) {
        return;
    }
    m_impl->own.network = network;
    m_impl->read_once->store(network.read_once, std::memory_order_relaxed);
    lt::settings_pack pack;
    set_network_settings(pack, network);
    m_impl->session->apply_settings(std::move(pack));
}

void torrent_session::set_queued_bytes(std::int64_t bytes) {
    if (!m_impl->session) {
        return;
    }
    lt::settings_pack pack;
    set_queued_bytes_setting(pack, bytes);
    m_impl->session->apply_settings(std::move(pack));
}

void torrent_session::request_progress() {
    m_impl->session->post_torrent_updates(lt::torrent_handle::query_accurate_download_counters);
}

int torrent_session::peers() const {
    int sum = 0;
    for (auto const& [which, each] : m_impl->torrents) {
        sum += each.connected;
    }
    return sum;
}

std::function<std::vector<peer_status>()> torrent_session::peers_of(id which) const {
    return [handle = m_impl->torrents.at(which).handle] {
        std::vector<lt::peer_info> peers;
        try {
            handle.get_peer_info(peers);
        } catch (lt::system_error const&) {
            peers.clear(); // not added yet, or gone by now
        }
        std::vector<peer_status> list;
        list.reserve(peers.size());
        for (auto const& peer : peers) {
            if (!(peer.flags & (lt::peer_info::connecting | lt::peer_info::handshake))) {
                list.push_back(to_peer_status(peer));
            }
        }
        return list;
    };
}

void torrent_session::ping(std::function<void()> answered) {
    if (answered) {
        m_impl->pings.push_back(std::move(answered));
    }
    m_impl->session->post_session_stats();
}

std::chrono::steady_clock::time_point torrent_session::last_pong() const noexcept {
    return m_impl->last_pong;
}

std::function<void()> torrent_session::shut_down() {
    auto const session = std::exchange(m_impl->session, nullptr);
    session->set_alert_notify({});
    // While there is a proxy, the session's destructor does not wait.
    auto const proxy = std::make_shared<std::optional<lt::session_proxy>>(session->abort());
    return [proxy] { proxy->reset(); };
}

} // namespace seedbed
