#pragma once

#include <memory>

#include <libtorrent/fwd.hpp>

#include "core/image/withdrawn_pieces.hpp"

namespace seedbed {

/// Withdraws pieces from the peers of a torrent that libtorrent counts as complete. Each peer is told of them with
/// lt_donthave (BEP 54): when it connects, at most a second after a piece was withdrawn, and with each of its requests,
/// which are rejected (BEP 6) without a read. BitTorrent has no other way to take back a piece. So a peer that does not
/// understand lt_donthave would request such pieces for ever: if any piece is withdrawn, it is choked, and it is
/// disconnected when it requests one.
///
/// \param pieces as many as the torrent has.
/// Threads: the extension is confined to libtorrent's network thread.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_withdrawal_extension(std::shared_ptr<withdrawn_pieces const> pieces);

} // namespace seedbed
