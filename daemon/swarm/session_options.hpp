#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "config/settings.hpp"
#include "daemon/swarm/peer_room.hpp"
#include "daemon/swarm/shard_extension.hpp"

namespace seedbed {

/// The parameters of a torrent_session. The functions are called on the main thread.
struct session_options {
    std::string thread;                   ///< name of the network thread, at most 15 characters
    int shard = 0;                        ///< number of this network shard, from 0
    network_settings network;             ///< this shard's part, see divide_network()
    std::vector<std::uint16_t> own_ports; ///< of all shards
    peer_room::patience patience;         ///< with idle peers, if there is no room
    std::int64_t queued_bytes = 0;        ///< that may wait to be written before peers are paused
    std::function<void()> on_activity;    ///< called when a peer connects
    std::function<void()> on_peers;       ///< called when peers() may have changed
};

/// How one session takes part in a torrent that several network shards seed.
struct torrent_sharding {
    std::shared_ptr<shard_placement> places; ///< null: only this session has the torrent
    endpoint_handler on_refused;             ///< see make_shard_gate()
};

} // namespace seedbed
