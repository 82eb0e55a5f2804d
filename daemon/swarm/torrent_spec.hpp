#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

#include "config/settings.hpp"
#include "core/image/image_torrent.hpp"
#include "core/image/piece_supply.hpp"
#include "core/image/withdrawn_pieces.hpp"
#include "daemon/http/shared_secret.hpp"
#include "daemon/swarm/peer_record.hpp"

namespace seedbed {

/// The parameters with which a session adds a torrent.
struct torrent_spec {
    std::shared_ptr<image_torrent const> torrent;
    image_mode mode = image_mode::seed;
    std::string name;                  ///< of the image, for log messages
    std::vector<ip_endpoint> peers;    ///< to connect to immediately
    std::vector<std::string> trackers; ///< announce URLs in addition to the torrent's own
    /// The pieces known to be on the device; nothing: libtorrent reads and checks the device.
    std::optional<std::vector<bool>> pieces = {};
    /// Assume that all pieces are present, whatever `pieces` contains, and hash each one before it is first served.
    bool hash_before_serving = false;
    std::vector<ip_address> expected = {}; ///< addresses of hosts for which there is always room, see peer_room
    std::int64_t upload_limit = 0;         ///< bytes per second; 0: no limit
    bool super_seeding = false;
    /// The pieces that peers are no longer given, although they are present; null: every piece is given.
    std::shared_ptr<withdrawn_pieces const> withdrawn = {};
    std::shared_ptr<piece_supply> supply = {};        ///< of the target of a packed image; null with `withdrawn`
    std::shared_ptr<peer_record> record = {};         ///< of peers whose connections have ended; null: none
    std::shared_ptr<shared_secret const> secret = {}; ///< only peers that know it get pieces; null: all do
    std::chrono::seconds secret_patience{10};         ///< for a peer to prove that it knows the secret
    std::uint16_t report_port = 0; ///< where this daemon accepts reports, announced to peers; 0: nowhere
    /// Called on the main thread with the address and port where a peer accepts reports; may be empty.
    std::function<void(boost::asio::ip::tcp::endpoint const&)> on_report_port;
};

} // namespace seedbed
