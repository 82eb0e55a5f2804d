#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <libtorrent/announce_entry.hpp>
#include <libtorrent/fwd.hpp>
#include <libtorrent/torrent_handle.hpp>

#include "daemon/swarm/ban_extension.hpp"
#include "daemon/swarm/rate_meter.hpp"
#include "daemon/swarm/session_settings.hpp"
#include "daemon/swarm/torrent_listener.hpp"
#include "daemon/swarm/torrent_spec.hpp"

namespace seedbed {

/// The state of one torrent in one session.
///
/// libtorrent adds a torrent asynchronously: until it is added, there is no handle, and requests are stored here.
///
/// Threads: confined to the main thread, except `read_once`.
struct session_torrent {
    session_torrent(torrent_spec const& spec, torrent_listener& to);

    /// libtorrent has added the torrent: applies the requests stored meanwhile.
    void start(libtorrent::torrent_handle const& with);
    [[nodiscard]] bool accepts_peers() const noexcept { return added && !removing; }
    void connect_peers() const;
    void replace_trackers() const;
    void apply_super_seeding() const;
    /// Logs a tracker's answer if it differs from the last one, because announces are repeated forever.
    /// \param failure empty if the tracker accepted the announce.
    void log_tracker(std::string const& url, std::string const& failure);
    /// The same for a web server (BEP 19), of which only failures are known. \param server its URL or endpoint.
    void log_web_seed(std::string const& server, std::string const& failure);
    /// Includes the rates since earlier calls.
    [[nodiscard]] torrent_progress take_progress(libtorrent::torrent_status const& status);
    /// Super-seeding makes its own choice of pieces to offer, so the two are mutually exclusive.
    void apply_read_once(bool enabled);

    torrent_listener* listener;
    std::string name;
    image_mode mode;
    std::vector<ip_endpoint> peers;
    std::vector<ip_address> expected;                     ///< hosts
    std::vector<std::string> trackers;                    ///< from the configuration
    std::vector<libtorrent::announce_entry> own_trackers; ///< from the .torrent
    libtorrent::torrent_handle handle;                    ///< valid once added
    bool added = false;
    bool removing = false;         ///< requested; takes effect once added
    bool trackers_changed = false; ///< before the torrent was added
    bool hash_before_serving;
    bool complete; ///< libtorrent has been told, or has reported, that every piece is present
    bool checked = false;
    bool had_peer = false;            ///< libtorrent has a list of the torrent's peers
    int missing_peers = enough_peers; ///< see neighbour_extension.hpp
    bool super_seeding;
    std::int64_t upload_limit;
    int connected = 0;        ///< number of peers, as of the last state_update_alert
    int sources = 0;          ///< of them, those with the whole image
    rate_meter download_rate; ///< of the payload
    rate_meter upload_rate;
    std::string tracker_failure;
    std::string web_seed_failure;
    std::function<void(boost::asio::ip::tcp::endpoint const&)> on_report_port;
    std::shared_ptr<banned_addresses> banned = std::make_shared<banned_addresses>(); ///< shared with the network thread
    /// Whether piece_offers withholds pieces. The network thread reads it.
    std::shared_ptr<std::atomic<bool>> read_once = std::make_shared<std::atomic<bool>>(false);
};

} // namespace seedbed
