#include "daemon/swarm/torrent_session.hpp"

#include <chrono>
#include <future>
#include <optional>
#include <thread>
#include <utility>

#include <libtorrent/add_torrent_params.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/peer_info.hpp>
#include <libtorrent/session.hpp>

#include "daemon/swarm/libtorrent_types.hpp"
#include "daemon/swarm/session_core.hpp"
#include "daemon/swarm/session_settings.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

/// How long a session may take to end: a second for its trackers. It ends later if libtorrent's resolver waits for a
/// DNS server, which nothing can cancel: it has no torrent and no peer any more, and its threads end by themselves or
/// with the program.
constexpr std::chrono::seconds end_patience{4};

/// Queries libtorrent, and waits for its answer.
std::vector<peer_status> query_peers(lt::torrent_handle const& handle) {
    std::vector<lt::peer_info> peers;
    try {
        handle.get_peer_info(peers);
    } catch (lt::system_error const&) {
        return {}; // not added yet, or removed
    }
    std::vector<peer_status> list;
    list.reserve(peers.size());
    for (auto const& peer : peers) {
        if (!(peer.flags & (lt::peer_info::connecting | lt::peer_info::handshake))) {
            list.push_back(to_peer_status(peer));
        }
    }
    return list;
}

} // namespace

torrent_session::torrent_session(boost::asio::io_context& main, std::shared_ptr<backend> shared, options wanted)
    : m_core(std::make_shared<session_core>(main, std::move(shared), std::move(wanted))) {
    m_core->open();
}

torrent_session::~torrent_session() {
    m_core->thread.check();
}

void torrent_session::when_listening(std::function<void(result<void>)> handler) {
    m_core->thread.check();
    m_core->listeners.set_handler(std::move(handler));
}

void torrent_session::add(id which, torrent_spec const& spec, torrent_listener& listener, sharding shards) {
    m_core->thread.check();
    auto& added = m_core->torrents.try_emplace(which, spec, listener).first->second;
    added.apply_read_once(m_core->own.network.read_once);
    m_core->keep_room_for_known_peers();
    m_core->choose_connection_speed();
    auto params = m_core->make_params(which, spec);
    m_core->add_extensions(params, which, spec, std::move(shards));
    m_core->session->async_add_torrent(std::move(params));
}

void torrent_session::remove(id which) {
    m_core->thread.check();
    auto& removed = m_core->torrents.at(which);
    removed.removing = true;
    if (removed.added) {
        if (removed.mode == image_mode::deploy) {
            removed.handle.save_resume_data(); // the network thread answers in order, so on_pieces() comes first
        }
        m_core->session->remove_torrent(removed.handle);
    }
}

void torrent_session::update(id which, std::vector<ip_endpoint> const& peers,
                             std::vector<std::string> const& trackers) {
    m_core->thread.check();
    auto& updated = m_core->torrents.at(which);
    auto const new_trackers = updated.trackers != trackers;
    updated.peers = peers;
    updated.trackers = trackers;
    m_core->keep_room_for_known_peers();
    if (!updated.added) {
        updated.trackers_changed = updated.trackers_changed || new_trackers;
        return;
    }
    updated.connect_peers();
    if (new_trackers) {
        updated.replace_trackers();
    }
}

void torrent_session::set_expected(id which, std::vector<ip_address> const& hosts) {
    m_core->thread.check();
    m_core->torrents.at(which).expected = hosts;
    m_core->keep_room_for_known_peers();
}

void torrent_session::connect(id which, boost::asio::ip::tcp::endpoint const& peer) {
    m_core->thread.check();
    if (auto const& torrent = m_core->torrents.at(which); torrent.accepts_peers()) {
        torrent.handle.connect_peer(peer);
    }
}

void torrent_session::set_upload_limit(id which, std::int64_t bytes_per_second) {
    m_core->thread.check();
    auto& limited = m_core->torrents.at(which);
    if (std::exchange(limited.upload_limit, bytes_per_second) != bytes_per_second && limited.added) {
        limited.handle.set_upload_limit(to_limit(bytes_per_second));
    }
}

void torrent_session::set_super_seeding(id which, bool on) {
    m_core->thread.check();
    auto& changed = m_core->torrents.at(which);
    if (std::exchange(changed.super_seeding, on) == on) {
        return;
    }
    changed.apply_read_once(m_core->own.network.read_once);
    if (changed.added) {
        changed.apply_super_seeding();
    }
}

void torrent_session::lift_ban(id which, boost::asio::ip::tcp::endpoint const& peer) {
    m_core->thread.check();
    auto& banned = m_core->torrents.at(which);
    banned.banned->remove(peer.address());
    if (!banned.accepts_peers()) {
        return;
    }
    // libtorrent has no call for this, but a torrent forgets the peers that the filter blocks, and so their bans.
    // clear_peers() does not help: in 2.0.8 it leaves pointers to the peers that it frees.
    m_core->apply_filter_to_others(which, false);
    auto const allowed = make_peer_filter(m_core->own.network.allow, own_addresses());
    auto without = allowed;
    without.add_rule(peer.address(), peer.address(), lt::ip_filter::blocked);
    m_core->session->set_ip_filter(without);
    m_core->session->set_ip_filter(allowed);
    m_core->apply_filter_to_others(which, true);
    banned.handle.connect_peer(peer);
    banned.connect_peers();
}

void torrent_session::request_pieces(id which) {
    m_core->thread.check();
    if (auto const& asked = m_core->torrents.at(which); asked.added) {
        asked.handle.save_resume_data();
    }
}

void torrent_session::apply(network_settings const& network, std::vector<std::uint16_t> const& own_ports) {
    m_core->thread.check();
    m_core->own.own_ports = own_ports;
    if (m_core->own.network == network || !m_core->session) {
        return;
    }
    if (m_core->own.network.allow != network.allow) {
        m_core->session->set_ip_filter(make_peer_filter(network.allow, own_addresses()));
    }
    set_most_peers(*m_core->room, network.connections);
    m_core->own.network = network;
    m_core->apply_read_once();
    lt::settings_pack pack;
    set_network_settings(pack, network);
    m_core->session->apply_settings(std::move(pack));
}

void torrent_session::set_queued_bytes(std::int64_t bytes) {
    m_core->thread.check();
    if (!m_core->session) {
        return;
    }
    lt::settings_pack pack;
    set_queued_bytes_setting(pack, bytes);
    m_core->session->apply_settings(std::move(pack));
}

void torrent_session::request_progress() {
    m_core->thread.check();
    m_core->session->post_torrent_updates(lt::torrent_handle::query_accurate_download_counters |
                                          lt::torrent_handle::query_distributed_copies);
}

int torrent_session::peers() const {
    m_core->thread.check();
    int sum = 0;
    for (auto const& [which, each] : m_core->torrents) {
        sum += each.connected;
    }
    return sum;
}

std::function<std::vector<peer_status>()> torrent_session::peers_of(id which) const {
    m_core->thread.check();
    return [handle = m_core->torrents.at(which).handle] { return query_peers(handle); };
}

void torrent_session::ping(std::function<void()> answered) {
    m_core->thread.check();
    if (answered) {
        m_core->pings.push_back(std::move(answered));
    }
    m_core->session->post_session_stats();
}

std::chrono::steady_clock::time_point torrent_session::last_pong() const noexcept {
    m_core->thread.check();
    return m_core->last_pong;
}

std::function<void()> torrent_session::shut_down() {
    m_core->thread.check();
    auto session = std::exchange(m_core->session, nullptr);
    session->set_alert_notify({});
    m_core->accept_timer.cancel();
    // The last of the session and its proxy to be destroyed joins the network thread. Destroyed at the same time, each
    // takes the other for the last, and std::terminate() is called for a thread that nothing has joined.
    auto const proxy = std::make_shared<std::optional<lt::session_proxy>>(session->abort());
    session.reset();
    auto const ended = std::make_shared<std::promise<void>>();
    std::thread([proxy, ended] {
        proxy->reset();
        ended->set_value();
    }).detach();
    return [until = std::chrono::steady_clock::now() + end_patience, end = ended->get_future().share()] {
        static_cast<void>(end.wait_until(until));
    };
}

} // namespace seedbed
