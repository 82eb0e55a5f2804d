#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/foundation/error.hpp"
#include "daemon/swarm/peer_status.hpp"
#include "daemon/swarm/shard_extension.hpp"
#include "daemon/swarm/torrent_listener.hpp"
#include "daemon/swarm/torrent_spec.hpp"

namespace seedbed {

/// One libtorrent session, of which there are several with network shards: settings, torrents and alerts.
///
/// Threads: confined to the main thread. libtorrent's network thread only wakes it; alerts are taken there, nothing
/// polls.
class torrent_session {
public:
    using id = std::uint64_t;

    struct options {
        std::string thread; ///< name of its network thread, at most 15 characters
        int shard = 0;
        network_settings network;             ///< its part of them, see divide_network()
        std::vector<std::uint16_t> own_ports; ///< of all shards
        std::int64_t queued_bytes = 0;        ///< may wait to be written before peers are paused
        std::function<void()> on_activity;    ///< a peer connects
        std::function<void()> on_peers;       ///< it has been told anew how many there are
    };
    /// How one of several shards seeds a torrent.
    struct sharding {
        std::shared_ptr<shard_placement> places;
        endpoint_handler on_refused; ///< see make_shard_gate()
    };

    torrent_session(boost::asio::io_context& main, std::shared_ptr<backend> shared, options wanted);
    torrent_session(torrent_session const&) = delete;
    torrent_session& operator=(torrent_session const&) = delete;
    ~torrent_session();

    // See sharded_session for what is not explained here.

    void when_listening(std::function<void(result<void>)> handler);
    /// \param which a new one. \param shards places is null where it is not sharded.
    void add(id which, torrent_spec const& entry, torrent_listener& listener, sharding shards);
    void remove(id which);
    void update(id which, std::vector<ip_endpoint> const& peers, std::vector<std::string> const& trackers);
    void connect(id which, boost::asio::ip::tcp::endpoint const& peer);
    void set_upload_limit(id which, std::int64_t bytes_a_second);
    void set_super_seeding(id which, bool on);
    void request_pieces(id which);
    void apply(network_settings const& network, std::vector<std::uint16_t> const& own_ports);
    void set_queued_bytes(std::int64_t bytes);
    void request_progress();

    /// Connected, as was told last.
    [[nodiscard]] int peers() const;
    /// Asks for the peers; waits for libtorrent's answer, so it is to be called on a worker.
    [[nodiscard]] std::function<std::vector<peer_status>()> peers_of(id which) const;

    void ping(std::function<void()> answered);
    [[nodiscard]] std::chrono::steady_clock::time_point last_pong() const noexcept;

    /// Begins to end the session. \return what waits for the end of its network thread, to be called on a worker.
    [[nodiscard]] std::function<void()> shut_down();

private:
    struct implementation;
    std::shared_ptr<implementation> m_impl;
};

} // namespace seedbed
