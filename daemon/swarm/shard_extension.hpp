#pragma once

#include <functional>
#include <memory>

#include <boost/asio/ip/tcp.hpp>
#include <libtorrent/fwd.hpp>

#include "daemon/swarm/shard_placement.hpp"

namespace seedbed {

// How a peer reaches its network shard. Each shard announces its own port to trackers and by multicast, so a client may
// find several ports of one server, or know only one of them. A shard to which a peer does not belong puts the port of
// the right shard into its extension handshake (BEP 10), under the key "sb_shard", and then ends the connection.

/// Called on libtorrent's network thread.
using endpoint_handler = std::function<void(boost::asio::ip::tcp::endpoint const&)>;

/// For a torrent that is seeded in \p shard: refuses peers that \p places does not admit there. An incoming peer is
/// first told where it belongs. An outgoing one is banned in this session, because libtorrent would retry it forever.
///
/// \param on_refused called once for each refused incoming peer, with the port on which it claims to listen.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_shard_gate(std::shared_ptr<shard_placement> places,
                                                                          int shard, endpoint_handler on_refused);

/// For a torrent that is downloaded: learns from a server to which shard this peer belongs.
///
/// While any shard of the same address is connected, a shard that has refused this peer is not connected to again. Such
/// an attempt ends as a failure: libtorrent retries it less and less often, down to twice a minute, but would retry an
/// orderly end every second.
///
/// \param on_referred called at most once per connection with the shard that admits this peer.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_shard_guest(endpoint_handler on_referred);

} // namespace seedbed
