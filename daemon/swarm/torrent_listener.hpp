#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/ip/tcp.hpp>

namespace seedbed {

/// The progress of a torrent. The counters start when the torrent is added.
struct torrent_progress {
    enum class phase : std::uint8_t { checking, downloading, complete };
    phase current = phase::checking;
    double fraction = 0;            ///< of the check, or of the pieces present; 0 to 1
    std::int64_t bytes_left = 0;    ///< still to download
    std::int64_t downloaded = 0;    ///< payload bytes
    std::int64_t uploaded = 0;      ///< payload bytes
    std::int64_t download_rate = 0; ///< payload bytes per second
    std::int64_t upload_rate = 0;   ///< payload bytes per second
    int peers = 0;                  ///< connected
    int sources = 0;                ///< connected peers with the whole image
    int good_pieces = 0;            ///< present, with the right hash
    bool obtainable = true;         ///< each missing piece is at a connected peer
};

/// Receives the events of one torrent.
///
/// Threads: every function is called on the main thread, never from within a call to the session.
class torrent_listener {
public:
    /// The check has ended; the missing pieces are downloaded from now on.
    virtual void on_checked() = 0;
    /// Every piece is present.
    virtual void on_complete() = 0;
    /// The device of a torrent that was added as complete does not match the torrent.
    virtual void on_content_differs() = 0;
    /// The answer to request_pieces(), also sent before on_removed() when a torrent being deployed is removed.
    /// \param written the pieces whose hashes are right; empty while the device is checked. Blocks of them may still be
    /// in flight: libtorrent counts the last piece before its writes have ended.
    virtual void on_pieces(std::vector<bool> const& written) = 0;
    /// A downloaded piece failed its hash check; libtorrent downloads it again.
    virtual void on_piece_damaged(int piece) = 0;
    /// A peer was disconnected and banned: it alone sent a damaged piece, or several of them with others. May be
    /// repeated for one connection. \param other_sources the other connected peers with the whole image, as of the last
    /// progress.
    virtual void on_peer_banned(boost::asio::ip::tcp::endpoint const& peer, int other_sources) = 0;
    /// libtorrent stopped the torrent because of an error.
    virtual void on_torrent_error(std::string const& reason) = 0;
    /// The answer to request_progress(); torrents without a change are omitted.
    virtual void on_progress(torrent_progress const& progress) = 0;
    /// The torrent has left the session. The last call.
    virtual void on_removed() = 0;

protected:
    ~torrent_listener() = default;
};

} // namespace seedbed
