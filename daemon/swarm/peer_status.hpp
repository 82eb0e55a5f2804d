#pragma once

#include <cstdint>
#include <string>

namespace seedbed {

/// A connected peer of an image, as libtorrent knows it.
struct peer_status {
    std::string address; ///< without port; IPv6 without brackets
    std::uint16_t port = 0;
    bool incoming = false;          ///< it connected to this daemon: its port is not the one it listens on
    std::string id;                 ///< 40 hex digits, new at each start of the client
    std::string client;             ///< for example "Seedbed 0.1.0"; what the peer says, made printable
    double fraction = 0;            ///< of the image that it has, 0 to 1
    bool seed = false;              ///< it has every piece
    std::int64_t download_rate = 0; ///< payload bytes a second from it
    std::int64_t upload_rate = 0;   ///< payload bytes a second to it
    std::int64_t downloaded = 0;    ///< payload bytes from it
    std::int64_t uploaded = 0;      ///< payload bytes to it
};

} // namespace seedbed
