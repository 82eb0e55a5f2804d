#include "daemon/swarm/session_settings.hpp"

#include <ifaddrs.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <limits>
#include <random>
#include <string_view>

#include <libtorrent/alert.hpp>
#include <libtorrent/fingerprint.hpp>

#include "daemon/http/tcp_endpoint.hpp"
#include "daemon/text/version.hpp"

namespace seedbed {

namespace lt = libtorrent;

namespace {

/// Additional connections, for peers that have not requested a torrent yet: room_extension.hpp limits the others. They
/// end after handshake_timeout.
constexpr int silent_connections = 1024;

void set_lan_settings(lt::settings_pack& pack) {
    using sp = lt::settings_pack;
    // Nothing that leaves the LAN or opens a way into it.
    pack.set_bool(sp::enable_dht, false);
    pack.set_bool(sp::enable_upnp, false);
    pack.set_bool(sp::enable_natpmp, false);

    // The configured port or none: peers would not find a different one.
    pack.set_int(sp::max_retry_port_bind, 0);
    pack.set_bool(sp::apply_ip_filter_to_trackers, false); // `allow` is about peers only
    pack.set_bool(sp::listen_system_port_fallback, false);
    pack.set_int(sp::listen_queue_size, 128); // a room of machines boots at the same moment

    // Plain TCP: uTP yields to other traffic, encryption costs CPU time, and the installed base supports neither.
    pack.set_bool(sp::enable_outgoing_utp, false);
    pack.set_bool(sp::enable_incoming_utp, false);
    pack.set_int(sp::out_enc_policy, sp::pe_disabled);
    pack.set_int(sp::in_enc_policy, sp::pe_disabled);
    pack.set_int(sp::mixed_mode_algorithm, sp::prefer_tcp);
    pack.set_bool(sp::rate_limit_ip_overhead, false);

    // Machines that share an address are separate peers.
    pack.set_bool(sp::allow_multiple_connections_per_ip, true);
}

} // namespace

std::string const& own_peer_id_prefix() {
    static std::string const prefix = [] {
        constexpr std::string_view letters = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
        std::random_device device;
        std::uniform_int_distribution<std::size_t> any(0, letters.size() - 1);
        auto text = lt::generate_fingerprint("SB", 0, 1, 0, 0);
        for (int i = 0; i < 6; ++i) {
            text += letters[any(device)];
        }
        return text;
    }();
    return prefix;
}

void set_network_settings(lt::settings_pack& pack, network_settings const& network) {
    std::string listen;
    for (auto const& address : network.listen) {
        listen += (listen.empty() ? "" : ",") + to_string(address);
    }
    pack.set_str(lt::settings_pack::listen_interfaces, listen);
    pack.set_bool(lt::settings_pack::enable_lsd, network.local_discovery);
    pack.set_int(lt::settings_pack::upload_rate_limit, static_cast<int>(network.upload_limit));
    pack.set_int(lt::settings_pack::download_rate_limit, static_cast<int>(network.download_limit));
    pack.set_int(lt::settings_pack::connections_limit, network.connections + silent_connections);
    set_upload_slots_setting(pack, network.upload_slots);
}

std::vector<boost::asio::ip::address> own_addresses() {
    std::vector<boost::asio::ip::address> own;
    ifaddrs* first = nullptr;
    if (::getifaddrs(&first) != 0) {
        return own;
    }
    for (auto const* each = first; each != nullptr; each = each->ifa_next) {
        if (each->ifa_addr != nullptr && each->ifa_addr->sa_family == AF_INET) {
            auto const* const at = reinterpret_cast<sockaddr_in const*>(each->ifa_addr);
            own.emplace_back(boost::asio::ip::address_v4(ntohl(at->sin_addr.s_addr)));
        } else if (each->ifa_addr != nullptr && each->ifa_addr->sa_family == AF_INET6) {
            auto const* const at = reinterpret_cast<sockaddr_in6 const*>(each->ifa_addr);
            boost::asio::ip::address_v6::bytes_type bytes{};
            std::ranges::copy(at->sin6_addr.s6_addr, bytes.begin());
            own.emplace_back(boost::asio::ip::address_v6(bytes));
        }
    }
    ::freeifaddrs(first);
    return own;
}

lt::ip_filter make_peer_filter(std::vector<ip_network> const& allowed,
                               std::vector<boost::asio::ip::address> const& own) {
    lt::ip_filter filter; // for all addresses
    if (allowed.empty()) {
        return filter;
    }
    auto const add = [&filter](ip_network const& range, std::uint32_t flags) {
        filter.add_rule(to_tcp_endpoint({range.first, 0}).address(), to_tcp_endpoint({range.last(), 0}).address(),
                        flags);
    };
    add(ip_network{.first = {.v6 = false}}, lt::ip_filter::blocked);
    add(ip_network{.first = {.v6 = true}}, lt::ip_filter::blocked);
    for (auto const* const list : {&allowed, &loopback_networks()}) {
        for (auto const& range : *list) {
            add(range, 0);
        }
    }
    for (auto const& address : own) {
        filter.add_rule(address, address, 0);
    }
    return filter;
}

void set_upload_slots_setting(lt::settings_pack& pack, int slots) {
    pack.set_int(lt::settings_pack::unchoke_slots_limit, slots == 0 ? -1 : slots);
}

void set_queued_bytes_setting(lt::settings_pack& pack, std::int64_t queued_bytes) {
    pack.set_int(lt::settings_pack::max_queued_disk_bytes,
                 static_cast<int>(std::min<std::int64_t>(queued_bytes, std::numeric_limits<int>::max())));
}

void set_failure_limit_setting(lt::settings_pack& pack, bool even) {
    pack.set_int(lt::settings_pack::max_failcount, even ? 100 : 101);
}

void set_reconnect_setting(lt::settings_pack& pack, bool fast) {
    pack.set_int(lt::settings_pack::min_reconnect_time, fast ? 1 : 10);
}

void set_connection_speed_setting(lt::settings_pack& pack, int attempts) {
    pack.set_int(lt::settings_pack::connection_speed, attempts);
}

void set_send_buffer_settings(lt::settings_pack& pack, std::int64_t pool_bytes, std::int64_t peers) {
    // libtorrent buffers one and a half seconds of a peer's rate, within these limits, as blocks of the pool.
    auto const share = std::clamp<std::int64_t>(pool_bytes / 2 / std::max<std::int64_t>(peers, 1), 64 << 10, 4 << 20);
    pack.set_int(lt::settings_pack::send_buffer_low_watermark,
                 static_cast<int>(std::min<std::int64_t>(share, 1 << 20)));
    pack.set_int(lt::settings_pack::send_buffer_watermark, static_cast<int>(share));
}

lt::settings_pack make_session_settings(network_settings const& network, std::int64_t queued_bytes) {
    using sp = lt::settings_pack;
    sp pack;
    set_network_settings(pack, network);
    pack.set_str(sp::user_agent, user_agent());
    pack.set_str(sp::peer_fingerprint, own_peer_id_prefix());

    set_lan_settings(pack);

    // Every torrent is active. A connected peer stays connected even at the limit, and a peer does not wait long for an
    // upload slot.
    pack.set_int(sp::handshake_timeout, 5); // seconds
    pack.set_int(sp::peer_turnover, 0);
    pack.set_int(sp::peer_turnover_cutoff, 100);
    pack.set_int(sp::unchoke_interval, 5);
    pack.set_int(sp::optimistic_unchoke_interval, 10);
    for (auto const limit : {sp::active_downloads, sp::active_seeds, sp::active_checking, sp::active_limit,
                             sp::active_tracker_limit, sp::active_lsd_limit}) {
        pack.set_int(limit, std::numeric_limits<std::uint16_t>::max());
    }

    // A target that boots before its server, or after a power failure, must find it: peers are retried forever, at most
    // half a minute apart (libtorrent counts failures up to 31).
    set_failure_limit_setting(pack, true);
    set_reconnect_setting(pack, true);
    set_connection_speed_setting(pack, usual_connection_speed);
    pack.set_int(sp::torrent_connect_boost, enough_peers); // at once, when a tracker answers
    pack.set_int(sp::local_service_announce_interval, 30);
    pack.set_int(sp::min_announce_interval, 30);
    pack.set_int(sp::tracker_backoff, 50);
    pack.set_int(sp::stop_tracker_timeout, 1);

    // Queue depths for 10 GbE: about 16 MiB in flight to and from a peer.
    pack.set_int(sp::max_out_request_queue, 1500);
    pack.set_int(sp::max_allowed_in_request_queue, 4000);
    // Little is queued at each source, and pieces are not reserved for one source ahead of time (libtorrent reserves up
    // to 20 s of its rate): rare pieces are requested from whichever machine has them, and soon passed on.
    pack.set_int(sp::request_queue_time, 1);     // seconds
    pack.set_int(sp::whole_pieces_threshold, 1); // seconds
    set_send_buffer_settings(pack, std::numeric_limits<std::int64_t>::max(), 1);
    pack.set_int(sp::send_buffer_watermark_factor, 150);
    set_queued_bytes_setting(pack, queued_bytes);

    // Checking reads whole pieces: four of partclone's 16 MiB pieces in flight.
    pack.set_int(sp::checking_mem_usage, 4096);

    pack.set_int(sp::alert_queue_size, 100'000);
    pack.set_int(sp::alert_mask,
                 static_cast<int>(static_cast<std::uint32_t>(lt::alert_category::error | lt::alert_category::status |
                                                             lt::alert_category::storage | lt::alert_category::tracker |
                                                             lt::alert_category::connect | lt::alert_category::peer)));
    return pack;
}

void keep_freed_memory() {
    constexpr int kept = 32 << 20; // bytes
    // A failure only costs speed.
    static_cast<void>(::mallopt(M_MMAP_THRESHOLD, kept));
    static_cast<void>(::mallopt(M_TRIM_THRESHOLD, kept));
    static_cast<void>(::mallopt(M_TOP_PAD, 1 << 20));
}

} // namespace seedbed
