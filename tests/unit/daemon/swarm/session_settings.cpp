#include "daemon/swarm/session_settings.hpp"

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <catch2/catch.hpp>

#include "support/endpoints.hpp"

using namespace seedbed;
using sp = libtorrent::settings_pack;

TEST_CASE("nothing leaves the LAN by default") {
    auto const pack = make_session_settings({}, 1 << 20);
    CHECK_FALSE(pack.get_bool(sp::enable_dht));
    CHECK_FALSE(pack.get_bool(sp::enable_upnp));
    CHECK_FALSE(pack.get_bool(sp::enable_natpmp));
    CHECK(pack.get_bool(sp::enable_lsd));
}

TEST_CASE("plain TCP, several peers per address, and only the configured port") {
    auto const pack = make_session_settings({}, 1 << 20);
    CHECK_FALSE(pack.get_bool(sp::enable_outgoing_utp));
    CHECK_FALSE(pack.get_bool(sp::enable_incoming_utp));
    CHECK(pack.get_int(sp::out_enc_policy) == sp::pe_disabled);
    CHECK(pack.get_int(sp::in_enc_policy) == sp::pe_disabled);
    CHECK(pack.get_bool(sp::allow_multiple_connections_per_ip));
    CHECK(pack.get_int(sp::max_retry_port_bind) == 0);
    CHECK_FALSE(pack.get_bool(sp::listen_system_port_fallback));
}

TEST_CASE("the configured addresses become libtorrent's list") {
    network_settings network;
    network.listen = test::endpoints({"10.0.0.1:6881", "[::1]:7000"});
    network.local_discovery = false;
    auto const pack = make_session_settings(network, 1 << 20);
    CHECK(pack.get_str(sp::listen_interfaces) == "10.0.0.1:6881,[::1]:7000");
    CHECK_FALSE(pack.get_bool(sp::enable_lsd));
}

TEST_CASE("limits become libtorrent's, and 0 means no limit") {
    network_settings network;
    auto pack = make_session_settings(network, 1 << 20);
    CHECK(pack.get_int(sp::upload_rate_limit) == 0);
    CHECK(pack.get_int(sp::download_rate_limit) == 0);
    CHECK(pack.get_int(sp::connections_limit) == 4000 + 1024);
    CHECK(pack.get_int(sp::unchoke_slots_limit) == -1);
    network.upload_limit = 1;
    network.download_limit = 2147483647;
    network.connections = 7;
    network.upload_slots = 3;
    set_network_settings(pack, network);
    CHECK(pack.get_int(sp::upload_rate_limit) == 1);
    CHECK(pack.get_int(sp::download_rate_limit) == 2147483647);
    CHECK(pack.get_int(sp::connections_limit) == 7 + 1024);
    CHECK(pack.get_int(sp::unchoke_slots_limit) == 3);
}

TEST_CASE("the bytes that may be queued are capped at libtorrent's largest number") {
    CHECK(make_session_settings({}, 1LL << 40).get_int(sp::max_queued_disk_bytes) == std::numeric_limits<int>::max());
    CHECK(make_session_settings({}, 1LL << 20).get_int(sp::max_queued_disk_bytes) == 1 << 20);
}

TEST_CASE("the process has its own prefix for peer ids") {
    CHECK(own_peer_id_prefix().starts_with("-SB0100-"));
    CHECK(own_peer_id_prefix().size() == 14);
    CHECK(make_session_settings({}, 1 << 20).get_str(sp::peer_fingerprint) == own_peer_id_prefix());
}

TEST_CASE("the send buffers of many peers share half of the pool, within limits") {
    auto const of = [](std::int64_t pool, std::int64_t peers) {
        lt::settings_pack pack;
        set_send_buffer_settings(pack, pool, peers);
        return std::pair(pack.get_int(lt::settings_pack::send_buffer_low_watermark),
                         pack.get_int(lt::settings_pack::send_buffer_watermark));
    };
    constexpr int mib = 1 << 20;
    CHECK(of(256 * mib, 0) == std::pair(mib, 4 * mib));
    CHECK(of(256 * mib, 32) == std::pair(mib, 4 * mib));
    CHECK(of(256 * mib, 64) == std::pair(mib, 2 * mib));
    CHECK(of(256 * mib, 256) == std::pair(mib / 2, mib / 2));
    CHECK(of(64 * mib, 10'000) == std::pair(64 << 10, 64 << 10));
}

TEST_CASE("a session reconnects slowly only if it has nothing to download") {
    lt::settings_pack fast;
    lt::settings_pack slow;
    set_reconnect_setting(fast, true);
    set_reconnect_setting(slow, false);
    constexpr auto seconds = lt::settings_pack::min_reconnect_time;
    CHECK(make_session_settings({}, 1 << 20).get_int(seconds) == fast.get_int(seconds));
    CHECK(slow.get_int(seconds) >= 10 * fast.get_int(seconds));
}

TEST_CASE("peers come from the allowed networks and the machine itself, by default from everywhere") {
    auto const blocked = [](std::vector<ip_network> const& allowed, std::string const& address) {
        return make_peer_filter(allowed, {boost::asio::ip::make_address("172.16.0.7")})
                   .access(boost::asio::ip::make_address(address)) != 0;
    };
    std::vector<ip_network> const lab{parse_ip_network("10.1.0.0/16").value(),
                                      parse_ip_network("2001:db8::/32").value()};
    CHECK_FALSE(blocked({}, "192.0.2.1"));
    CHECK_FALSE(blocked({}, "fe80::1"));
    CHECK_FALSE(blocked(lab, "10.1.0.0"));
    CHECK_FALSE(blocked(lab, "10.1.255.255"));
    CHECK(blocked(lab, "10.2.0.0"));
    CHECK(blocked(lab, "10.0.255.255"));
    CHECK_FALSE(blocked(lab, "2001:db8:ffff::1"));
    CHECK(blocked(lab, "2001:db9::"));
    CHECK_FALSE(blocked(lab, "127.0.0.2"));
    CHECK_FALSE(blocked(lab, "::1"));
    CHECK_FALSE(blocked(lab, "172.16.0.7"));
    CHECK(blocked(lab, "172.16.0.8"));
}
