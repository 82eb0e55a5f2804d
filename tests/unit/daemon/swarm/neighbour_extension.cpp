#include "daemon/swarm/neighbour_extension.hpp"

#include <chrono>
#include <memory>
#include <vector>

#include <boost/asio/steady_timer.hpp>
#include <catch2/catch.hpp>
#include <libtorrent/bitfield.hpp>
#include <libtorrent/error_code.hpp>
#include <libtorrent/extensions.hpp>
#include <libtorrent/peer_connection_handle.hpp>
#include <libtorrent/torrent_status.hpp>

#include "daemon/swarm/session_settings.hpp"
#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;
namespace lt = libtorrent;

namespace {

/// A torrent of four pieces that has enough with three peers; without libtorrent.
struct counted_torrent {
    std::vector<int> reported;
    std::shared_ptr<lt::torrent_plugin> plugin =
        make_neighbour_extension(3, [this](int missing) { reported.push_back(missing); });

    std::shared_ptr<lt::peer_plugin> connect() {
        auto peer = plugin->new_connection(lt::peer_connection_handle({}));
        peer->on_handshake({});
        return peer;
    }
    /// \return what has been reported since the last call.
    std::vector<int> tick() {
        reported.clear();
        plugin->tick();
        return reported;
    }
};

lt::bitfield pieces(int count) {
    lt::bitfield some(4, false);
    for (int piece = 0; piece < count; ++piece) {
        some.set_bit(piece);
    }
    return some;
}

/// libtorrent ticks once a second: it counts peers, and connects to them.
void pass_ticks(test_loop& loop) {
    boost::asio::steady_timer timer(loop.context, std::chrono::milliseconds(2500));
    bool passed = false;
    timer.async_wait([&passed](boost::system::error_code const&) { passed = true; });
    loop.run_until([&passed] { return passed; });
}

} // namespace

TEST_CASE("neighbours: a torrent reports how many peers it still needs") {
    using counts = std::vector<int>;
    counted_torrent torrent;
    CHECK(torrent.tick() == counts{});
    auto const first = torrent.connect();
    auto second = torrent.connect();
    CHECK(torrent.tick() == counts{1});
    CHECK(torrent.tick() == counts{}); // no change
    // Three are enough, if one of them has every piece.
    auto const third = torrent.connect();
    third->on_bitfield(pieces(3));
    CHECK(torrent.tick() == counts{});
    first->on_bitfield(pieces(4));
    CHECK(torrent.tick() == counts{0});
    auto const fourth = torrent.connect();
    CHECK(torrent.tick() == counts{});
    first->on_disconnect({});
    CHECK(torrent.tick() == counts{1});
    fourth->on_have_all();
    CHECK(torrent.tick() == counts{0});
    // A peer leaves once, however it ends; one that has not finished its handshake does not count.
    second->on_disconnect({});
    second.reset();
    auto const silent = torrent.plugin->new_connection(lt::peer_connection_handle({}));
    silent->on_have_all();
    CHECK(torrent.tick() == counts{1});
    fourth->on_disconnect({});
    CHECK(torrent.tick() == counts{2});
}

TEST_CASE("neighbours: a complete torrent needs peers, but no source") {
    counted_torrent torrent;
    auto const peers = {torrent.connect(), torrent.connect(), torrent.connect()};
    CHECK(torrent.tick() == std::vector<int>{1});
    torrent.plugin->on_state(lt::torrent_status::seeding);
    CHECK(torrent.tick() == std::vector<int>{0});
    torrent.plugin->on_state(lt::torrent_status::downloading);
    CHECK(torrent.tick() == std::vector<int>{1});
    CHECK(peers.size() == 3);
}

TEST_CASE("neighbours: a target with enough peers connects to no other until one leaves", "[waits]") {
    test_loop loop;
    test_image const image(4);
    test_store store(image, image_mode::deploy, image.empty_file());
    session_with_torrent target(loop, store, 2);
    target.add(store.checked_spec());
    std::vector<std::shared_ptr<wire_peer>> peers;
    for (int i = 0; i < enough_peers; ++i) {
        peers.push_back(connect_peer(loop, image.torrent(), 10 + i, endpoint(2)));
        peers.back()->send(wire_peer::bitfield, std::string(1, i == 0 ? '\xf0' : '\0'));
    }
    pass_ticks(loop);
    auto const other = wire_peer::create(loop.context, image.torrent());
    other->accept(endpoint(4));
    target.session.connect(session_with_torrent::number, endpoint(4));
    pass_ticks(loop); // an absent event cannot be awaited
    CHECK_FALSE(other->connected);
    peers.back()->close();
    loop.run_until([&] { return other->connected; });
}
