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
#include "daemon/swarm/session_options.hpp"
#include "daemon/swarm/torrent_listener.hpp"
#include "daemon/swarm/torrent_spec.hpp"

namespace seedbed {

struct session_core;

/// One libtorrent session: its settings, its torrents and its alerts. Each network shard is one (see sharded_session).
///
/// Threads: confined to the main thread, which must be the one that constructs it. libtorrent's network thread only
/// posts a wake-up; the main thread then takes all waiting alerts. Nothing polls. The functions that peers_of() and
/// shut_down() return wait for libtorrent: they run on a worker.
class torrent_session {
public:
    using id = std::uint64_t;

    using options = session_options;
    using sharding = torrent_sharding;

    torrent_session(boost::asio::io_context& main, std::shared_ptr<backend> shared, options wanted);
    torrent_session(torrent_session const&) = delete;
    torrent_session& operator=(torrent_session const&) = delete;
    ~torrent_session();

    // For functions without a comment see sharded_session.

    void when_listening(std::function<void(result<void>)> handler);
    /// \param which must be new to this session.
    void add(id which, torrent_spec const& spec, torrent_listener& listener, sharding shards);
    void remove(id which);
    void update(id which, std::vector<ip_endpoint> const& peers, std::vector<std::string> const& trackers);
    void set_expected(id which, std::vector<ip_address> const& hosts);
    /// Connects to a peer. Ignored before the torrent is added and while it is removed.
    void connect(id which, boost::asio::ip::tcp::endpoint const& peer);
    void set_upload_limit(id which, std::int64_t bytes_per_second);
    void set_super_seeding(id which, bool on);
    void lift_ban(id which, boost::asio::ip::tcp::endpoint const& peer);
    void request_pieces(id which);
    void apply(network_settings const& network, std::vector<std::uint16_t> const& own_ports);
    void set_queued_bytes(std::int64_t bytes);
    void request_progress();

    /// The number of connected peers, as of the last answer to request_progress().
    [[nodiscard]] int peers() const;
    /// \return a function that queries libtorrent for the peers and waits for the answer.
    [[nodiscard]] std::function<std::vector<peer_status>()> peers_of(id which) const;

    void ping(std::function<void()> answered);
    [[nodiscard]] std::chrono::steady_clock::time_point last_pong() const noexcept;

    /// Starts the shutdown of the session; afterwards only last_pong(), apply(), set_queued_bytes() and the destructor
    /// may be called. \return a function that waits until the network thread has ended, but
    /// at most 4 s: libtorrent cannot cancel a query of DNS.
    [[nodiscard]] std::function<void()> shut_down();

private:
    std::shared_ptr<session_core> m_core;
};

} // namespace seedbed
