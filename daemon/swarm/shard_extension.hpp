#pragma once

#include <functional>
#include <memory>

#include <boost/asio/ip/tcp.hpp>
#include <libtorrent/fwd.hpp>

#include "daemon/swarm/shard_placement.hpp"

namespace seedbed {

// How a peer gets to its network shard. Each shard announces its own port to trackers and by multicast, so that any
// client finds several ports of one server, and may know one only. The extension handshake (BEP 10) of a shard to which
// the peer does not belong has the port of the one to which it does under the key "sb_shard", and then the connection
// ends.

/// Called on libtorrent's network thread.
using endpoint_handler = std::function<void(boost::asio::ip::tcp::endpoint const&)>;

/// For a torrent that is seeded in \p shard: ends connections of peers that \p places does not admit there. Those that
/// connect are told first where they belong; those that the shard connects to are banned in it, for libtorrent would
/// try again for ever. \param on_refused told of each peer that connected, and where it says that it listens.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_shard_gate(std::shared_ptr<shard_placement> places,
                                                                          int shard, endpoint_handler on_refused);

/// For a torrent that is downloaded: hears where it belongs. While a peer of the same address is connected, be it
/// another shard, one that has refused once is not talked to: what libtorrent then takes for failures comes at longer
/// and longer intervals, up to half a minute, where an orderly end would be followed by another attempt each second.
/// \param on_referred told of the shard that takes this peer.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_shard_guest(endpoint_handler on_referred);

} // namespace seedbed
