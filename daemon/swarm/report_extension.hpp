#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include <boost/asio/ip/tcp.hpp>
#include <libtorrent/fwd.hpp>

namespace seedbed {

/// Exchanges report ports in the extension handshake (BEP 10): sends the TCP port on which this daemon accepts reports
/// (host_report) about the torrent, under the key "sb_report", and learns those of the peers. A target that has found
/// the server by multicast, without a tracker, can then report that the image is on its disk. Other clients ignore the
/// key.
///
/// Also ends a connection from this daemon to itself, as a failure. Peers that know its address from the tracker send
/// it back (PEX), and libtorrent treats the end of such a connection as orderly and would retry every second.
///
/// \param port where this daemon accepts reports; 0: nowhere. \param own_ports where this daemon listens for peers.
/// \param on_report_port called on libtorrent's network thread with the address and the report port of a peer, at most
/// once per connection, however often the peer repeats its handshake.
[[nodiscard]] std::shared_ptr<libtorrent::torrent_plugin>
make_report_extension(std::uint16_t port, std::vector<std::uint16_t> own_ports,
                      std::function<void(boost::asio::ip::tcp::endpoint const&)> on_report_port);

} // namespace seedbed
