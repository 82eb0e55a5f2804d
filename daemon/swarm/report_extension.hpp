#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <libtorrent/fwd.hpp>

namespace seedbed {

/// Exchanges report ports: tells peers in the extension handshake (BEP 10), under the key "sb_report", on which TCP
/// port this daemon accepts reports (host_report) about the torrent, and learns theirs. So a target that has found the
/// server by multicast, without a tracker, can report that the image is on its disk. Other clients ignore the key.
///
/// Also ends a connection that leads back to this daemon, as a failure. Peers that know its address from the tracker
/// send it back (PEX), and libtorrent itself treats the end of such a connection as orderly and tries again every
/// second.
///
/// \param port where this daemon accepts reports; 0: nowhere. \param own_ports where this daemon listens for peers.
/// \param on_report_port called on libtorrent's network thread with the address and the report port of
/// a peer, at most once per connection, however often the peer repeats its handshake.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_report_extension(std::uint16_t port, std::vector<std::uint16_t> own_ports,
                      std::function<void(boost::asio::ip::tcp::endpoint const&)> on_report_port);

} // namespace seedbed
