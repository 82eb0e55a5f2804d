#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <libtorrent/fwd.hpp>

namespace seedbed {

/// Tells peers in the extension handshake (BEP 10) under the key "sb_report" on which TCP port this daemon takes
/// reports (host_report) about the torrent, and hears it of them: so a target that has found the server by multicast,
/// without a tracker, can tell it that the image is on its disk. Clients that do not know the key ignore it.
///
/// Besides, a connection that leads back to this daemon ends as a failure: peers that have its address from the tracker
/// tell it back (PEX), and libtorrent would try it again every second, since it sees an orderly end only.
///
/// \param own_ports on which this daemon listens for peers. \param port 0: takes none. \param heard called on
/// libtorrent's network thread for each peer that takes reports, with its address, a literal without brackets, and that
/// port.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_report_extension(std::uint16_t port, std::vector<std::uint16_t> own_ports,
                      std::function<void(std::string, std::uint16_t)> heard);

} // namespace seedbed
