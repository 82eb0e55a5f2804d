#pragma once

#include <functional>
#include <memory>

#include <libtorrent/fwd.hpp>

namespace seedbed {

/// Reports how many peers a torrent that is being downloaded still needs: it has enough with \p enough peers, of which
/// one had every piece when it connected, unless the torrent is complete itself. More connections spread an image no
/// faster, but each piece is announced over all of them, which costs processor time.
///
/// \param on_change called on libtorrent's network thread, at most once a second. At first, all are missing.
///
/// Threads: the extension is confined to libtorrent's network thread.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_neighbour_extension(int enough, std::function<void(int missing)> on_change);

} // namespace seedbed
