#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "config/settings.hpp"
#include "core/backend/backend.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/worker_pool.hpp"
#include "core/image/image_torrent.hpp"
#include "daemon/swarm/image_status.hpp"

namespace seedbed {

/// What an image does in the swarm. All numbers are those of its torrent in this session.
struct swarm_progress {
    enum class phase : std::uint8_t { checking, downloading, complete };
    phase current = phase::checking;
    double fraction = 0;            ///< of the check, or of the image that is there; 0 to 1
    std::int64_t bytes_left = 0;    ///< still to be downloaded
    std::int64_t downloaded = 0;    ///< payload bytes since it was added
    std::int64_t uploaded = 0;      ///< payload bytes since it was added
    std::int64_t download_rate = 0; ///< payload bytes a second
    std::int64_t upload_rate = 0;   ///< payload bytes a second
    int peers = 0;                  ///< connected
};

/// Told what happens to a torrent in the session. Everything is called on the main thread.
class swarm_listener {
public:
    /// What the device holds is known; the rest will be downloaded.
    virtual void on_checked() = 0;
    /// Every piece is there.
    virtual void on_complete() = 0;
    /// The device does not hold what the torrent says, although it was added as complete.
    virtual void on_content_differs() = 0;
    /// Which pieces are written to the device, as was asked for; empty while the device is checked.
    virtual void on_pieces(std::vector<bool> const& there) = 0;
    /// A piece that was fetched does not hash to what the torrent says; it is fetched again.
    virtual void on_piece_damaged(int piece) = 0;
    /// libtorrent has given the torrent up.
    virtual void on_swarm_error(std::string const& reason) = 0;
    virtual void on_progress(swarm_progress const& progress) = 0;
    /// The torrent is no longer in the session. Nothing is called after this.
    virtual void on_removed() = 0;

protected:
    ~swarm_listener() = default;
};

/// A torrent to be added.
struct swarm_entry {
    std::shared_ptr<image_torrent const> torrent;
    image_mode mode = image_mode::seed;
    std::string name; ///< of the image, for logs
    std::vector<std::string> peers;
    std::vector<std::string> trackers;
    /// The pieces that are there; nothing: found out by reading the device.
    std::optional<std::vector<bool>> pieces = {};
    /// All are there by promise, whatever pieces says: each is hashed before it is served the first time.
    bool hash_before_serving = false;
    std::int64_t upload_limit = 0; ///< bytes a second; 0: none
    bool super_seeding = false;
    std::uint16_t report_port = 0; ///< on which reports about it are taken, for peers to know; 0 for none
    /// Called on the main thread with address and port of a peer that takes reports; may be empty.
    std::function<void(std::string const&, std::uint16_t)> on_report_port;
};

/// The libtorrent session: settings, torrents and alerts.
///
/// Threads: confined to the main thread. libtorrent's network thread only wakes it; alerts are taken there, nothing
/// polls.
class seeder {
public:
    using id = std::uint64_t;

    /// \param on_activity called when a peer connects: there may be progress to ask for.
    seeder(boost::asio::io_context& main, std::shared_ptr<backend> shared, network_settings const& network,
           std::int64_t queued_bytes, std::function<void()> on_activity);
    seeder(seeder const&) = delete;
    seeder& operator=(seeder const&) = delete;
    ~seeder();

    /// Calls \p handler once when libtorrent has tried every listener: with the reason where a configured address could
    /// not be opened, or none at all.
    void when_listening(std::function<void(result<void>)> handler);

    /// Adds a torrent whose image the backend knows. \p listener must live until its on_removed().
    id add(swarm_entry const& entry, swarm_listener& listener);
    /// Takes a torrent out: its peers are dropped, trackers told. The listener's on_removed() follows, after
    /// on_pieces() where it is one to deploy.
    void remove(id torrent);
    /// Replaces the peers and trackers of the configuration; connections stay.
    void update(id torrent, std::vector<std::string> const& peers, std::vector<std::string> const& trackers);

    /// 0: no limit.
    void set_upload_limit(id torrent, std::int64_t bytes_a_second);
    void set_super_seeding(id torrent, bool on);
    /// Asks for on_pieces().
    void request_pieces(id torrent);

    /// Applies changed settings; connections stay, but for those that are more than the new limit.
    void apply(network_settings const& network);

    /// Changes how much may wait to be written before peers are paused, in bytes.
    void set_queued_bytes(std::int64_t bytes);

    /// Asks for on_progress() of every torrent that has any.
    void request_progress();

    /// Asks for a torrent's peers on \p worker, since libtorrent's answer has to be waited for, and calls \p call
    /// there.
    void request_peers(id torrent, worker_pool& worker, std::function<void(std::vector<peer_status>)> call) const;

    /// Asks the network thread for a sign of life. \param answered called when the next one comes. Not to be called
    /// after shut_down().
    void ping(std::function<void()> answered = {});
    /// When the network thread last gave one.
    [[nodiscard]] std::chrono::steady_clock::time_point last_pong() const noexcept;

    /// Ends the session on \p worker, which may take a second (trackers are told), then calls \p done on the main
    /// thread. To be called once, after every torrent is removed.
    void shut_down(worker_pool& worker, std::function<void()> done);

private:
    struct implementation;
    std::shared_ptr<implementation> m_impl;
};

} // namespace seedbed
