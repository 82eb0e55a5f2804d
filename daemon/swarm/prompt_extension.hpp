#pragma once

#include <memory>

#include <libtorrent/fwd.hpp>

namespace seedbed {

/// Makes idle peers request a new piece immediately. A libtorrent peer that is interested but has run out of requests
/// ignores HAVE for up to five seconds; UNCHOKE (BEP 3), sent again after the HAVE, makes it request.
///
/// Also disconnects a peer with more unanswered requests than libtorrent can have at a time of a peer that requests
/// whole blocks. To be added after all extensions that answer requests themselves. \param pieces of the torrent.
///
/// Threads: the extension is confined to libtorrent's network thread.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_prompt_extension(int pieces);

} // namespace seedbed
