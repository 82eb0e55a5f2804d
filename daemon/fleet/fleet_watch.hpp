#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/settings.hpp"
#include "core/foundation/info_hash.hpp"
#include "daemon/fleet/fleet.hpp"
#include "daemon/fleet/fleet_store.hpp"
#include "daemon/fleet/hook.hpp"
#include "daemon/fleet/host_report.hpp"
#include "daemon/fleet/saved_fleet.hpp"
#include "daemon/fleet/tracker.hpp"
#include "daemon/swarm/peer_status.hpp"

namespace seedbed {

/// Tracks the deployments of all images: keeps a fleet for each, requests their peers while a host is in progress, logs
/// the fleets' lines, and runs an image's on_complete program when all its hosts are complete.
///
/// Threads: confined to the main thread.
class fleet_watch {
public:
    /// An image to track.
    struct image {
        std::string name;
        std::vector<info_hash> hashes; ///< under which it is announced; the first one identifies it; none if it
                                       ///< is not open: its hosts are then kept
        std::int64_t total_bytes = 0;
        fleet_settings settings;
        bool takes_reports = false; ///< from hosts that do not announce to the tracker
        bool reports_only = false;  ///< only reports make a host complete
        bool in_swarm = false;      ///< the image may have peers
    };
    using peers_handler = std::function<void(std::vector<peer_status> const&)>;

    /// \param request_peers passes the peers of the image with that name to the handler, on the main thread, or never.
    /// \param store keeps the fleets across a restart; may be null. Must outlive this object.
    /// \param look_interval the time between two requests for peers while a host is in progress.
    fleet_watch(boost::asio::io_context& context, std::function<void(std::string const&, peers_handler)> request_peers,
                fleet_store* store = nullptr, std::chrono::milliseconds look_interval = std::chrono::seconds(3));

    /// Sets the images to track. Those already tracked keep their hosts, whatever else changes.
    /// \param limit the maximum number of hosts kept for each.
    void set_images(std::vector<image> const& images, std::size_t limit);

    void on_announce(announcement const& said, fleet::clock::duration patience);
    /// \return the image; null if none has this info-hash.
    [[nodiscard]] image const* on_report(info_hash const& hash, host_report const& report);
    /// Must be called when a peer has connected.
    void wake();
    /// Stops requesting peers and starting programs, and ends running programs.
    void stop();

    /// Null if the image is not tracked.
    [[nodiscard]] fleet const* find(std::string const& name) const;
    /// A copy for displays; null if the image is not tracked.
    [[nodiscard]] std::shared_ptr<fleet_status const> status(std::string const& name) const;

private:
    struct followed {
        image now;
        fleet hosts;
        std::size_t connected = 0; ///< peers at the last look
        bool restored = false;     ///< its record has been read and may be replaced
        bool unsaved = false;      ///< its record has changed since it was saved
        fleet::clock::time_point saved = fleet::clock::time_point::min();
    };

    [[nodiscard]] followed* find_hash(info_hash const& hash);
    [[nodiscard]] followed* find_image(std::string const& name, info_hash const& hash);
    void keep_looking();
    void arm();
    void on_timer();
    void after_change(followed& which);
    void load(followed& which);
    void on_loaded(std::string const& name, info_hash const& hash,
                   result<std::shared_ptr<saved_fleet const>> const& record);
    /// \param damaged number of hosts of the record that cannot be restored.
    void restore_some(std::string const& name, info_hash const& hash, std::size_t damaged);
    void save(followed& which);
    void run_hook(followed const& which);

    std::function<void(std::string const&, peers_handler)> m_request_peers;
    std::map<std::string, followed> m_followed; ///< by name
    std::chrono::milliseconds const m_look_interval;
    fleet_store* m_store;
    boost::asio::steady_timer m_timer;
    boost::asio::steady_timer m_save_timer;
    hook_runner m_hooks;
    std::shared_ptr<int> m_alive = std::make_shared<int>(); ///< expires with this object, for peers that arrive later
    int m_looks = 0;                                        ///< still to be made, even if no host is in progress
    bool m_armed = false;
    bool m_save_armed = false;
    bool m_stopped = false;
};

} // namespace seedbed
