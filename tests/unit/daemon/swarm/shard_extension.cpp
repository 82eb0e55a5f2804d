#include "daemon/swarm/shard_extension.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <libtorrent/entry.hpp>

#include "daemon/swarm/network_shards.hpp"
#include "daemon/swarm/refusing_shards.hpp"
#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;
namespace lt = libtorrent;

namespace {

constexpr char const* key = "sb_shard";

/// The number of a loopback address whose home is \p shard of two.
int address_at(int shard) {
    for (int n = 10;; ++n) {
        if (shard_of(boost::asio::ip::make_address(loopback(n)), 2) == shard) {
            return n;
        }
    }
}

/// Shard 0 of two, alone.
struct gate_test {
    gate_test() {
        auto refused = [this](tcp::endpoint const& peer) {
            boost::asio::post(loop.context, [this, peer] { refusals.push_back(peer); });
        };
        seed.session.add(session_with_torrent::number, store.checked_spec(), seed.listener, {places, refused});
    }
    [[nodiscard]] std::shared_ptr<wire_peer> connect(int from) {
        auto const peer = connect_peer(loop, image.torrent(), from, endpoint(1));
        loop.run_until([&] { return peer->extension_handshake.has_value(); });
        return peer;
    }

    test_loop loop;
    test_image image{2};
    test_store store{image, image_mode::seed, image.full_file()};
    std::shared_ptr<shard_placement> places = std::make_shared<shard_placement>(2);
    std::vector<tcp::endpoint> refusals;
    session_with_torrent seed{loop, store, 1};
};

lt::entry handshake_with(char const* name, int port) {
    lt::entry handshake;
    handshake["m"] = lt::entry(lt::entry::dictionary_t);
    handshake[name] = port;
    return handshake;
}

/// A target on address 2 whose only peer is a test's on address 3.
struct guest_test {
    guest_test() {
        server->accept(endpoint(3));
        auto spec = store.checked_spec();
        spec.peers = {listener(3)};
        target.add(spec);
        loop.run_until([&] { return server->connected; });
    }

    test_loop loop;
    test_image image{2};
    test_store store{image, image_mode::deploy, image.empty_file()};
    session_with_torrent target{loop, store, 2};
    std::shared_ptr<wire_peer> server = wire_peer::create(loop.context, image.torrent());
};

} // namespace

TEST_CASE("shard gate: a peer of this shard stays, and gets no message") {
    gate_test t;
    auto const from = address_at(0);
    auto const peer = t.connect(from);
    CHECK(peer->extension_handshake->find_key(key) == nullptr);
    peer->send_extension_handshake(handshake_with("p", 6881));
    peer->send(wire_peer::interested);
    t.loop.run_until([&] { return peer->count(wire_peer::unchoke) > 0; });
    CHECK(t.places->has(endpoint(from).address()));
    CHECK(t.refusals.empty());
    peer->close();
    t.loop.run_until([&] {
        t.seed.round_trip();
        return !t.places->has(endpoint(from).address());
    });
}

TEST_CASE("shard gate: a peer of another shard is sent that shard's port, and disconnected once it has sent its own") {
    gate_test t;
    auto const from = address_at(1);
    auto const peer = t.connect(from);
    auto const* const port = peer->extension_handshake->find_key(key);
    REQUIRE(port != nullptr);
    CHECK(port->integer() == 6882);
    CHECK_FALSE(peer->closed);
    peer->send_extension_handshake(handshake_with("p", 7000));
    t.loop.run_until([&] { return peer->closed; });
    t.seed.round_trip();
    CHECK(t.refusals == std::vector<tcp::endpoint>{endpoint(from, 7000)});
    CHECK_FALSE(t.places->has(endpoint(from).address()));
}

TEST_CASE("shard gate: a silent peer of another shard is disconnected", "[waits]") {
    gate_test t;
    auto const peer = t.connect(address_at(1));
    t.loop.run_until([&] { return peer->closed; }, std::chrono::seconds(20));
    CHECK(t.refusals.empty());
}

TEST_CASE("shard guest: connects to the shard that it is referred to, once per connection") {
    guest_test t;
    auto const right = wire_peer::create(t.loop.context, t.image.torrent());
    auto const wrong = wire_peer::create(t.loop.context, t.image.torrent());
    right->accept(endpoint(3, 7000));
    wrong->accept(endpoint(3, 7001));
    t.server->send_extension_handshake(handshake_with(key, 7000));
    t.server->send_extension_handshake(handshake_with(key, 7001));
    t.loop.run_until([&] { return right->connected; });
    t.target.round_trip();
    CHECK_FALSE(wrong->connected);
}

TEST_CASE("shard guest: a value that is not a port is ignored") {
    guest_test t;
    auto const right = wire_peer::create(t.loop.context, t.image.torrent());
    right->accept(endpoint(3, 7000));
    for (int const port : {0, -1, 65536}) {
        t.server->send_extension_handshake(handshake_with(key, port));
    }
    auto text = handshake_with(key, 0);
    text[key] = "7000";
    t.server->send_extension_handshake(text);
    t.server->send_extension_handshake(handshake_with(key, 7000));
    t.loop.run_until([&] { return right->connected; });
}

TEST_CASE("shard guest: the shards that a stranger can refer to are limited") {
    refusing_shards shards;
    refusing_shards::endpoint shard(boost::asio::ip::make_address("10.0.0.1"), 0);
    std::size_t remembered = 0;
    for (int port = 1; port <= 65535; ++port) {
        shard.port(static_cast<std::uint16_t>(port));
        shards.add(shard);
        remembered += shards.contains(shard) ? 1 : 0;
    }
    CHECK(remembered == refusing_shards::most);
    shard.port(1);
    shards.remove(shard);
    CHECK_FALSE(shards.contains(shard));
    shard.port(65535); // there is room again
    shards.add(shard);
    CHECK(shards.contains(shard));
}
