#pragma once

#include <memory>

#include <libtorrent/fwd.hpp>

#include "core/image/piece_supply.hpp"
#include "core/image/withdrawn_pieces.hpp"

namespace seedbed {

/// Supplies the pieces of a packed image's target, and withdraws pieces that libtorrent counts as present. Each peer is
/// told of them with lt_donthave (BEP 54): when it connects, at most a second after a piece was withdrawn, and with
/// each of its requests, which are rejected (BEP 6) without a read. BitTorrent has no other way to take back a piece.
/// So a peer that does not understand lt_donthave would request such pieces for ever: if any piece is withdrawn, it is
/// choked, and it is disconnected when it requests one.
///
/// A peer that has requested a whole piece would make 256 reads in a row fail if the piece has to be withdrawn;
/// libtorrent disconnects it after 100. So the first request for a piece that is not at hand is alone: the others wait
/// for its answer. Then they are rejected, since no extension can return them to libtorrent, and the peer requests them
/// again if the piece was not withdrawn. Peers without the Fast Extension cannot be rejected a request, and do not
/// wait.
///
/// \param pieces, supply of as many pieces as the torrent has.
/// Threads: the extension is confined to libtorrent's network thread.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_withdrawal_extension(std::shared_ptr<withdrawn_pieces const> pieces, std::shared_ptr<piece_supply> supply);

} // namespace seedbed
