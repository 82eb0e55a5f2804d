#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <libtorrent/ip_filter.hpp>
#include <libtorrent/settings_pack.hpp>

#include "config/settings.hpp"

namespace seedbed {

/// libtorrent's settings for imaging in a LAN: no DHT, no port mapping, plain TCP, deep request queues, no limit on
/// torrents, and limits on rates and uploads only if they are configured.
///
/// \param queued_bytes how many may wait to be written before peers are paused.
[[nodiscard]] libtorrent::settings_pack make_session_settings(network_settings const& network,
                                                              std::int64_t queued_bytes);

/// The prefix of this process's peer ids: "-SB0100-" (BEP 20) and six random characters, by which the daemon's own
/// tracker recognises the daemon. Every call returns the same. Threads: any.
[[nodiscard]] std::string const& own_peer_id_prefix();

/// The settings that a reload can change.
void set_network_settings(libtorrent::settings_pack& pack, network_settings const& network);
/// The addresses of this machine's network interfaces; empty if the kernel does not list them.
[[nodiscard]] std::vector<boost::asio::ip::address> own_addresses();
/// Allows the addresses of peers in \p allowed, \p own and loopback; all addresses if \p allowed is empty.
[[nodiscard]] libtorrent::ip_filter make_peer_filter(std::vector<ip_network> const& allowed,
                                                     std::vector<boost::asio::ip::address> const& own);
/// \param slots how many peers are served concurrently; 0: all.
void set_upload_slots_setting(libtorrent::settings_pack& pack, int slots);
void set_queued_bytes_setting(libtorrent::settings_pack& pack, std::int64_t queued_bytes);

/// Makes libtorrent retry peers forever. libtorrent 2.0 passes the setting to a torrent's list of peers only if the
/// value changes while the list exists; otherwise it gives up on a peer after 3 failures
/// (peer_list::set_max_failcount). Change \p even for each new list.
void set_failure_limit_setting(libtorrent::settings_pack& pack, bool even);

/// How many peers of an image that is being deployed are enough: more than a piece needs to reach any number of
/// machines in a few steps.
constexpr int enough_peers = 12;

/// \param attempts to connect to peers, per second; 0: none.
void set_connection_speed_setting(libtorrent::settings_pack& pack, int attempts);
constexpr int usual_connection_speed = 200;

/// The first delay before a lost peer is retried: one second if \p fast, otherwise ten.
void set_reconnect_setting(libtorrent::settings_pack& pack, bool fast);

/// How much may wait to be sent to each of \p peers peers: little enough for slow peers to leave half of the pool (\p
/// pool_bytes) to fast ones.
void set_send_buffer_settings(libtorrent::settings_pack& pack, std::int64_t pool_bytes, std::int64_t peers);

/// Makes the allocator keep freed memory. libtorrent allocates and frees its receive buffers over and over; if their
/// memory were returned to the system each time, each received block would cost page faults. Call this first in main().
void keep_freed_memory();

} // namespace seedbed
