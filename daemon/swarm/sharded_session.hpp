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

/// The torrents of all images, in one libtorrent session or, with network shards, in several: images that are seeded
/// are in all of them, and each peer is at one. Images that are deployed are in the first one, for several sessions
/// that write the same image would have to agree about every piece.
///
/// Threads: confined to the main thread. libtorrent's network threads only wake it; alerts are taken there, nothing
/// polls.
class sharded_session final : public image_swarm {
public:
    /// \param on_activity called when a peer connects: there may be progress to ask for.
    sharded_session(boost::asio::io_context& main, std::shared_ptr<backend> shared, network_settings const& network,
                    std::int64_t queued_bytes, std::function<void()> on_activity);
    sharded_session(sharded_session const&) = delete;
    sharded_session& operator=(sharded_session const&) = delete;
    ~sharded_session();

    /// Calls \p handler once when libtorrent has tried every listener: with the reason where a configured address could
    /// not be opened, or none at all; of the first shard to which that happens.
    void when_listening(std::function<void(result<void>)> handler);

    id add(torrent_spec const& entry, torrent_listener& listener) override;
    void remove(id torrent) override;
    void update(id torrent, std::vector<ip_endpoint> const& peers, std::vector<std::string> const& trackers) override;
    void set_upload_limit(id torrent, std::int64_t bytes_a_second) override;
    void set_super_seeding(id torrent, bool on) override;
    void request_pieces(id torrent) override;
    void request_progress() override;
    void request_peers(id torrent, worker_pool& worker,
                       std::function<void(std::vector<peer_status>)> call) const override;

    /// Applies changed settings, all but the number of shards; connections stay, but for those that are more than the
    /// new limit.
    void apply(network_settings const& network);

    /// Changes how much may wait to be written before peers are paused, in bytes.
    void set_queued_bytes(std::int64_t bytes);

    /// Asks the network threads for a sign of life. \param answered called when the next one has come from each. Not to
    /// be called after shut_down().
    void ping(std::function<void()> answered = {});
    /// When they last gave one: the one that did so the longest ago.
    [[nodiscard]] std::chrono::steady_clock::time_point last_pong() const noexcept;

    /// Ends the sessions on \p worker, which may take a second (trackers are told), then calls \p done on the main
    /// thread. To be called once, after every torrent is removed.
    void shut_down(worker_pool& worker, std::function<void()> done);

private:
    struct implementation;
    std::shared_ptr<implementation> m_impl;
};

} // namespace seedbed
