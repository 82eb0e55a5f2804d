#pragma once

#include <memory>

#include <libtorrent/fwd.hpp>

namespace seedbed {

/// Asks a tracker that cannot be reached again after 1, 2, 4, 8, 16 and then every 30 s. libtorrent alone waits for 7,
/// 15, 27, 45, 67 s and longer: machines that boot before their server would be without peers for minutes.
///
/// A tracker that has answered with a failure is left alone, and so is one that answers to another address of this
/// host.
///
/// \param of the torrent that gets the extension. Threads: the extension is confined to libtorrent's network thread.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin> make_retry_extension(libtorrent::torrent_handle const& of);

} // namespace seedbed
