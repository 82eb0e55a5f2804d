#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/settings.hpp"
#include "daemon/fleet/fleet.hpp"
#include "daemon/fleet/hook.hpp"
#include "daemon/fleet/host_report.hpp"
#include "daemon/fleet/tracker.hpp"
#include "daemon/swarm/peer_status.hpp"

namespace seedbed {

/// Follows the deployments of all images: keeps a fleet each, asks for their peers while anybody is on the way, logs
/// what there is to say, and runs the program that an image names for when all are done.
///
/// Threads: confined to the main thread.
class fleet_watch {
public:
    /// An image that is followed.
    struct image {
        std::string name;
        std::vector<std::string> hashes; ///< under which it is announced, 40 hex digits each; the first one names it;
                                         ///< none while it is not open: what is known of it is kept
        std::int64_t total_bytes = 0;
        fleet_settings settings;
        bool takes_reports = false; ///< from peers that do not know the tracker
        bool in_swarm = false;      ///< there may be peers to ask for
    };
    using peers_handler = std::function<void(std::vector<peer_status> const&)>;

    /// \param request_peers has the peers of the image of that name given to the handler, on the main thread, or never.
    fleet_watch(boost::asio::io_context& context, std::function<void(std::string const&, peers_handler)> request_peers);

    /// The images from now on: what is known of those that stay is kept, whatever else changes of them.
    /// \param limit how many hosts are kept for each.
    void set_images(std::vector<image> const& images, std::size_t limit);

    void on_announce(announcement const& said, fleet::clock::duration patience);
    /// \param info_hash 20 bytes. \return whether there is such an image.
    [[nodiscard]] bool on_report(std::string const& info_hash, host_report const& report);
    /// Somebody has connected.
    void wake();
    /// Asks for nothing more; programs that run are ended.
    void stop();

    /// Nothing where the image is not followed.
    [[nodiscard]] fleet const* find(std::string const& name) const;
    /// How far the image's hosts are; null where it is not followed.
    [[nodiscard]] std::shared_ptr<fleet_status const> status(std::string const& name) const;

private:
    struct followed {
        image now;
        fleet hosts;
        std::size_t connected = 0; ///< at the last look
    };

    [[nodiscard]] followed* find_hash(std::string const& info_hash);
    void go_on();
    void arm();
    void on_timer();
    void after_change(followed& which);
    void run_hook(followed const& which);

    boost::asio::io_context& m_context;
    std::function<void(std::string const&, peers_handler)> m_request_peers;
    std::map<std::string, followed> m_followed; ///< by name
    boost::asio::steady_timer m_timer;
    hook_runner m_hooks;
    std::shared_ptr<int> m_alive = std::make_shared<int>(); ///< for what comes back after the end
    int m_looks = 0; ///< still to be made, whether somebody is known to be on the way or not
    bool m_armed = false;
    bool m_stopped = false;
};

} // namespace seedbed
