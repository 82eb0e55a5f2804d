#pragma once

#include <atomic>
#include <memory>

#include <libtorrent/fwd.hpp>

namespace seedbed {

/// The peers of all torrents of a session, see peer_room. Threads: libtorrent's network thread, except `most`.
struct session_room;
/// \param most the peers that may be connected, to be set from any thread.
[[nodiscard]] std::shared_ptr<session_room> make_session_room(std::shared_ptr<std::atomic<int> const> most);

/// Disconnects the peers of a torrent for which there is no room. libtorrent's own limit is higher: connections that
/// have not said yet which torrent they want take none of it.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_room_extension(std::shared_ptr<session_room> room);

} // namespace seedbed
