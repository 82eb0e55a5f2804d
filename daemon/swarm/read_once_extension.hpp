#pragma once

#include <atomic>
#include <memory>

#include <libtorrent/fwd.hpp>

#include "daemon/swarm/piece_offers.hpp"

namespace seedbed {

/// Implements network.read_once for one seed: passes the events of its peers to piece_offers and sends the resulting
/// changes to the peers, with lt_donthave (BEP 54), upload_only (BEP 21) and HAVE (BEP 3). A peer that does not
/// understand the first two is offered every piece.
///
/// \param enabled any thread may change it, and libtorrent's network thread reads it every second.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_read_once_extension(piece_offers::image_shape shape, std::shared_ptr<std::atomic<bool> const> enabled);

} // namespace seedbed
