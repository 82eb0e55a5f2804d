#pragma once

#include <atomic>
#include <memory>

#include <libtorrent/fwd.hpp>

namespace seedbed {

/// The peers of all torrents of a session; see peer_room. Threads: libtorrent's network thread, except `most`.
struct session_room;
/// \param most the maximum number of connected peers; may be set from any thread.
[[nodiscard]] std::shared_ptr<session_room> make_session_room(std::shared_ptr<std::atomic<int> const> most);

/// Disconnects the peers of a torrent for which there is no room. libtorrent's own limit is higher, so that connections
/// that have not requested a torrent yet do not count towards this one.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_room_extension(std::shared_ptr<session_room> room);

} // namespace seedbed
