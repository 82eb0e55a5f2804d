#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <libtorrent/bitfield.hpp>
#include <libtorrent/fwd.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/socket.hpp>
#include <libtorrent/units.hpp>

#include "daemon/swarm/peer_status.hpp"
#include "daemon/swarm/torrent_listener.hpp"

namespace seedbed {

// Conversions between libtorrent's types and this program's. Pure functions; threads: any.

/// "ADDRESS:PORT", with brackets around an IPv6 address.
[[nodiscard]] std::string to_text(libtorrent::tcp::endpoint const& endpoint);

/// libtorrent's rate limit. \param bytes_per_second 0: no limit, which is -1 in libtorrent.
[[nodiscard]] int to_limit(std::int64_t bytes_per_second);

/// A peer class filter that applies the session's limits on rates and upload slots to every address. By default
/// libtorrent exempts peers in the local network, which here are all peers.
[[nodiscard]] libtorrent::ip_filter global_limits_for_all();

/// Without the rates; for those see rate_meter.
[[nodiscard]] torrent_progress to_progress(libtorrent::torrent_status const& status);
[[nodiscard]] peer_status to_peer_status(libtorrent::peer_info const& peer);

using piece_bitfield = libtorrent::typed_bitfield<libtorrent::piece_index_t>;
[[nodiscard]] std::vector<bool> to_pieces(piece_bitfield const& pieces);
[[nodiscard]] piece_bitfield to_bitfield(std::vector<bool> const& pieces);

} // namespace seedbed
