#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "core/foundation/worker_pool.hpp"
#include "daemon/swarm/peer_status.hpp"
#include "daemon/swarm/torrent_listener.hpp"
#include "daemon/swarm/torrent_spec.hpp"

namespace seedbed {

/// The part of the sessions that an image uses: its own torrent, and nothing else.
///
/// Threads: confined to the main thread.
class image_swarm {
public:
    using id = std::uint64_t;

    /// Adds a torrent whose image is registered with the backend. \p listener must live until its on_removed().
    virtual id add(torrent_spec const& spec, torrent_listener& listener) = 0;
    /// Removes a torrent: its peers are disconnected, its trackers informed. The listener's on_removed() follows, after
    /// on_pieces() if the torrent is being deployed.
    virtual void remove(id torrent) = 0;
    /// Replaces the configured peers and trackers; connections stay.
    virtual void update(id torrent, std::vector<ip_endpoint> const& peers,
                        std::vector<std::string> const& trackers) = 0;

    /// Replaces the addresses of hosts for which there is always room, see peer_room.
    virtual void set_expected(id torrent, std::vector<ip_address> const& hosts) = 0;
    /// \param bytes_a_second 0: no limit.
    virtual void set_upload_limit(id torrent, std::int64_t bytes_a_second) = 0;
    virtual void set_super_seeding(id torrent, bool on) = 0;
    /// Lifts the ban of \p peer and connects to it. Other peers of the torrent with its address are disconnected; the
    /// configured ones are connected again.
    virtual void lift_ban(id torrent, boost::asio::ip::tcp::endpoint const& peer) = 0;
    /// Requests a call of on_pieces().
    virtual void request_pieces(id torrent) = 0;
    /// Requests a call of on_progress() for every torrent that has changed.
    virtual void request_progress() = 0;
    /// Waits for libtorrent's answer on \p worker, and calls \p call there with the torrent's peers.
    virtual void request_peers(id torrent, worker_pool& worker,
                               std::function<void(std::vector<peer_status>)> call) const = 0;

protected:
    ~image_swarm() = default;
};

} // namespace seedbed
