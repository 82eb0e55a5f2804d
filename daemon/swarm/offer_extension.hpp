#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>

#include <libtorrent/fwd.hpp>

namespace seedbed {

/// For a seed whose source does not fit into memory: see piece_offers. Peers are told by lt_donthave (BEP 54),
/// upload_only (BEP 21) and HAVE (BEP 3); those that do not know the first two are offered everything.
///
/// \param pieces of the torrent. \param first_help see piece_offers::set_first_help(); called on libtorrent's network
/// thread, each second.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_offer_extension(int pieces,
                                                                               std::function<int()> first_help);

} // namespace seedbed
