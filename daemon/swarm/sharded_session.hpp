#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/swarm/image_swarm.hpp"
#include "daemon/swarm/peer_status.hpp"
#include "daemon/swarm/torrent_listener.hpp"
#include "daemon/swarm/torrent_spec.hpp"

namespace seedbed {

/// The torrents of all images, in one libtorrent session or, with network shards, in several. A seeded image is in
/// every session, and each of its peers is connected to one of them. A deployed image is only in the first session:
/// several sessions that write the same image would have to agree on every piece.
///
/// Threads: confined to the main thread, which must be the one that constructs it. libtorrent's network threads only
/// post wake-ups to the main thread, which takes the alerts. Nothing polls.
///
/// Lifetime: remove every torrent and call shut_down() before destruction. A torrent's listener must live until its
/// on_removed().
class sharded_session final : public image_swarm {
public:
    /// \param queued_bytes see set_queued_bytes(). \param on_activity called when a peer connects: request_progress()
    /// may have news.
    sharded_session(boost::asio::io_context& main, std::shared_ptr<backend> shared, network_settings const& network,
                    std::int64_t queued_bytes, std::function<void()> on_activity);
    sharded_session(sharded_session const&) = delete;
    sharded_session& operator=(sharded_session const&) = delete;
    ~sharded_session();

    /// Calls \p handler once libtorrent has tried to open every listener: with an error if a configured address failed,
    /// or if a session has none at all. The first shard that fails decides.
    void when_listening(std::function<void(result<void>)> handler);

    id add(torrent_spec const& spec, torrent_listener& listener) override;
    void remove(id torrent) override;
    void update(id torrent, std::vector<ip_endpoint> const& peers, std::vector<std::string> const& trackers) override;
    void set_expected(id torrent, std::vector<ip_address> const& hosts) override;
    void set_upload_limit(id torrent, std::int64_t bytes_per_second) override;
    void set_super_seeding(id torrent, bool on) override;
    void lift_ban(id torrent, boost::asio::ip::tcp::endpoint const& peer) override;
    void request_pieces(id torrent) override;
    void request_progress() override;
    void request_peers(id torrent, worker_pool& worker,
                       std::function<void(std::vector<peer_status>)> call) const override;

    /// Applies changed settings except the number of shards. Connections stay, except those above a lower limit.
    void apply(network_settings const& network);

    /// Sets how many bytes may wait to be written before peers are paused. Must also be called when the pool's size has
    /// changed.
    void set_queued_bytes(std::int64_t bytes);

    /// Requests a sign of life from each network thread. Not allowed after shut_down(). \param answered called when all
    /// have answered.
    void ping(std::function<void()> answered = {});
    /// The time of the last sign of life of the network thread that has been silent for the longest.
    [[nodiscard]] std::chrono::steady_clock::time_point last_pong() const noexcept;

    /// Ends the sessions on \p worker, which may take a second because trackers are informed, and 5 s if DNS does not
    /// answer, then calls \p done on the main thread. Must be called once.
    void shut_down(worker_pool& worker, std::function<void()> done);

private:
    struct implementation;
    std::shared_ptr<implementation> m_impl;
};

} // namespace seedbed
