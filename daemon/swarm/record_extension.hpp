#pragma once

#include <memory>

#include <libtorrent/fwd.hpp>

#include "daemon/swarm/peer_record.hpp"

namespace seedbed {

/// Records each peer of a torrent that has sent or received payload, when its connection ends. A look at the connected
/// peers now and then would miss those that leave at once, such as the source of a small image.
///
/// Threads: the extension is confined to libtorrent's network thread.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_record_extension(std::shared_ptr<peer_record> record);

} // namespace seedbed
