#pragma once

#include <cstdint>
#include <string>

#include <libtorrent/settings_pack.hpp>

#include "config/settings.hpp"

namespace seedbed {

/// libtorrent's settings for imaging in a LAN: no DHT, no port mapping, plain TCP, no limit on torrents, nor on
/// rates and uploads unless one is configured, deep request queues.
///
/// \param queued_bytes how much may wait to be written before peers are paused.
[[nodiscard]] libtorrent::settings_pack make_session_settings(network_settings const& network,
                                                              std::int64_t queued_bytes);

/// What the peer ids of all torrents of this process begin with: "-SB0100-" (BEP 20) and six characters that no other
/// process has, by which the daemon's own tracker knows the daemon. The same at each call. Threads: any.
[[nodiscard]] std::string const& own_peer_id_prefix();

/// The parts of them that a reload changes.
void set_network_settings(libtorrent::settings_pack& pack, network_settings const& network);
/// \param slots peers that are sent to at a time; 0: all.
void set_upload_slots_setting(libtorrent::settings_pack& pack, int slots);
void set_queued_bytes_setting(libtorrent::settings_pack& pack, std::int64_t queued_bytes);

/// How soon a peer that has gone is tried again: in a second where there is something to fetch, else in ten.
void set_reconnect_setting(libtorrent::settings_pack& pack, bool fetching);

/// How much may wait to be sent to each of so many peers: little enough that those who are slow leave half of the pool
/// (\p pool_bytes) to those who are not.
void set_send_buffer_settings(libtorrent::settings_pack& pack, std::int64_t pool_bytes, std::int64_t peers);

/// Has the allocator keep what is freed. libtorrent allocates and frees its receive buffers over and over: where their
/// memory went back to the system each time, each block that arrives would cost page faults. To be called first of all
/// in main().
void keep_freed_memory();

} // namespace seedbed
