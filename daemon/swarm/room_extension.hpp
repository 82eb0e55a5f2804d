#pragma once

#include <memory>
#include <set>

#include <boost/asio/ip/address.hpp>
#include <libtorrent/fwd.hpp>
#include <libtorrent/io_context.hpp>

#include "daemon/swarm/peer_room.hpp"

namespace seedbed {

/// The peers of all torrents of a session, see peer_room. Threads: libtorrent's network thread; the functions here,
/// any.
struct session_room;
/// \param most the maximum number of connected peers.
[[nodiscard]] std::shared_ptr<session_room> make_session_room(int most, peer_room::patience patience);
void set_most_peers(session_room& room, int most);
/// To be called once, before the first torrent is added, from any thread.
/// \param network the session's, which outlives its torrents.
void use_network(session_room& room, libtorrent::io_context& network);
/// \param known the addresses of configured peers and of expected hosts, for which there is always room.
void set_known_peers(session_room& room, std::set<boost::asio::ip::address> known);

/// Disconnects the peers of a torrent for which there is no room. A peer is active if it gets a block, reports one more
/// of the \p pieces, or sends a block while this side wants something from it; also while it is interested and choked.
/// So with few upload slots, idle peers are recognised only as they are unchoked. libtorrent's own limit of connections
/// is higher: those that have not requested a torrent yet do not count towards this one.
///
/// Also disconnects a peer that goes on sending requests but does not read: libtorrent limits the waiting requests of a
/// peer, but not the refusals and hashes (BEP 52) that wait to be sent to it. libtorrent calls no extension when it
/// sends hashes, so a timer looks at the peers of v2 and hybrid torrents.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_room_extension(std::shared_ptr<session_room> room,
                                                                              libtorrent::torrent_info const& torrent);

} // namespace seedbed
