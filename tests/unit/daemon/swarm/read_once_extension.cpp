#include "daemon/swarm/read_once_extension.hpp"

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>
#include <libtorrent/entry.hpp>

#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;
namespace lt = libtorrent;

namespace {

constexpr int piece_length = 16 << 10;
lt::entry understanding_handshake() {
    lt::entry handshake;
    handshake["m"]["lt_donthave"] = wire_peer::dont_have;
    handshake["m"]["upload_only"] = wire_peer::upload_only;
    return handshake;
}

struct read_once_test {
    read_once_test() { seed.add(store.checked_spec()); }
    explicit read_once_test(network_settings const& network) {
        seed.session.apply(network, {});
        seed.add(store.checked_spec());
    }

    [[nodiscard]] std::shared_ptr<wire_peer> connect(int from, bool understands = true) {
        auto const peer = seed.connect(from, 1);
        if (understands) {
            peer->send_extension_handshake(understanding_handshake());
        }
        return peer;
    }
    [[nodiscard]] std::size_t pieces() const { return static_cast<std::size_t>(image.pieces()); }
    /// How many pieces the peer knows to be withheld.
    void until_withheld(wire_peer const& peer, std::size_t count) {
        loop.run_until([&] { return peer.withheld.size() == count; });
    }

    test_loop loop;
    test_image image{480, piece_length};
    test_store store{image, image_mode::seed, image.full_file(), 1 << 20};
    session_with_torrent seed{loop, store, 1};
};

/// With pieces this small, a quarter of a MiB is offered to a peer that takes none, and twice as much to all.
constexpr std::size_t to_one = 16;

} // namespace

TEST_CASE("read_once: each piece is offered to one peer, and to the next one when that peer leaves") {
    read_once_test t;
    auto const first = t.connect(3);
    t.until_withheld(*first, t.pieces() - to_one);
    auto const second = t.connect(4);
    t.until_withheld(*second, t.pieces() - to_one);
    auto const third = t.connect(5);
    t.until_withheld(*third, t.pieces());
    CHECK_FALSE(first->withheld.contains(0));
    CHECK(second->withheld.contains(0));
    // A seed that lacks a piece would be disconnected: it says once that it is not a seed (BEP 21).
    CHECK(third->extended_payloads(wire_peer::upload_only) == std::vector<std::string>{std::string(1, '\0')});
    first->close();
    t.until_withheld(*third, t.pieces() - to_one);
}

TEST_CASE("read_once: a peer that has got a piece is offered the next one, and prompted to request it") {
    read_once_test t;
    auto const peer = t.connect(3);
    t.until_withheld(*peer, t.pieces() - to_one);
    auto const unchokes = peer->count(wire_peer::unchoke);
    peer->request_piece(0, piece_length);
    t.loop.run_until([&] { return !peer->withheld.contains(to_one); });
    t.loop.run_until([&] { return peer->count(wire_peer::unchoke) > unchokes; });
}

TEST_CASE("read_once: a client that does not understand is told of no piece, and owns what it requests") {
    read_once_test t;
    auto const old_client = t.connect(3, false);
    old_client->request_piece(0, piece_length);
    t.loop.run_until([&] { return old_client->count(wire_peer::piece) == 1; });
    CHECK(old_client->extended_payloads(wire_peer::dont_have).empty());
    auto const peer = t.connect(4);
    t.until_withheld(*peer, t.pieces() - to_one);
    CHECK(peer->withheld.contains(0));
}

TEST_CASE("read_once: a request for a piece that was withheld meanwhile is refused") {
    read_once_test t;
    auto const first = t.connect(3);
    auto const second = t.connect(4);
    t.until_withheld(*first, t.pieces() - to_one);
    t.until_withheld(*second, t.pieces() - to_one); // enough is in flight
    auto const third = wire_peer::create(t.loop.context, t.image.torrent());
    third->support_fast();
    third->connect(endpoint(5).address(), endpoint(1));
    t.loop.run_until([&] { return third->connected; });
    third->send_extension_handshake(understanding_handshake());
    third->request_piece(0, piece_length);
    constexpr int in_the_end = 479;
    third->request_piece(in_the_end, piece_length);
    t.loop.run_until([&] { return third->count(wire_peer::reject) == 2; });
    CHECK(third->count(wire_peer::piece) == 0);
    CHECK(third->withheld.size() == t.pieces());
}

TEST_CASE("read_once: switched off by a reload, every piece is offered again") {
    read_once_test t;
    auto const peer = t.connect(3);
    t.until_withheld(*peer, t.pieces() - to_one);
    auto network = network_on(1);
    network.read_once = false;
    t.seed.session.apply(network, {});
    t.until_withheld(*peer, 0);
}

TEST_CASE("read_once: nothing is withheld if it is off") {
    auto network = network_on(1);
    network.read_once = false;
    read_once_test t(network);
    auto const peer = t.connect(3);
    peer->request_piece(0, piece_length);
    t.loop.run_until([&] { return peer->count(wire_peer::piece) == 1; });
    CHECK(peer->extended_payloads(wire_peer::dont_have).empty());
}
