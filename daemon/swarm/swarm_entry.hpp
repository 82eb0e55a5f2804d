#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "core/image/image_torrent.hpp"

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

} // namespace seedbed
