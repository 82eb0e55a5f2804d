#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace seedbed {

/// A connected peer of an image, as reported by libtorrent.
struct peer_status {
    std::string address; ///< without port; IPv6 without brackets
    std::uint16_t port = 0;
    bool incoming = false;          ///< the peer connected to this daemon, so `port` is not the one on which it listens
    std::string id;                 ///< peer id, 40 hex digits; clients choose a new one each time they start
    std::string client;             ///< for example "Seedbed 0.1.0"; sent by the peer, made printable
    double fraction = 0;            ///< share of the image that the peer has, 0 to 1
    bool seed = false;              ///< the peer has every piece
    std::int64_t download_rate = 0; ///< payload bytes per second from the peer
    std::int64_t upload_rate = 0;   ///< payload bytes per second to the peer
    std::int64_t downloaded = 0;    ///< payload bytes from the peer
    std::int64_t uploaded = 0;      ///< payload bytes to the peer
};

/// Lists each peer id once, sorted by id: a peer that is about to leave the wrong network shard is briefly connected to
/// two shards. Of two entries, the one with more uploaded bytes is kept.
[[nodiscard]] std::vector<peer_status> without_twins(std::vector<peer_status> peers);

} // namespace seedbed
