#pragma once

#include <memory>

#include <libtorrent/fwd.hpp>

namespace seedbed {

/// Requests the blocks of a piece that a seed gives to this machine alone (piece_offers.hpp) several at a time.
/// libtorrent requests as many blocks as it has received from a peer per second, at least two: from a seed that gives
/// each machine a piece now and then, always two, so that each two would cost a round trip through the full queues of
/// both links. The piece has no other source, so that no request is lost on blocks that come from elsewhere.
///
/// Threads: the extension is confined to libtorrent's network thread.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_ahead_extension(std::shared_ptr<libtorrent::torrent_info const> torrent);

} // namespace seedbed
