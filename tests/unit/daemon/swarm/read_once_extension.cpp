#include "daemon/swarm/read_once_extension.hpp"

#include <chrono>
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

/// A seed whose image, 7.5 MiB, does not fit into its pool, 1 MiB.
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
        read_by_seed(*peer);
        return peer;
    }
    /// Returns when the seed has read everything that \p peer has sent, shown by its answer to a request.
    void read_by_seed(wire_peer& peer) {
        auto const before = peer.count(wire_peer::piece);
        peer.request_piece(0, piece_length);
        loop.run_until([&] { return peer.count(wire_peer::piece) == before + 1; });
    }

    test_loop loop;
    test_image image{480, piece_length};
    test_store store{image, image_mode::seed, image.full_file(), 1 << 20};
    session_with_torrent seed{loop, store, 1};
};

} // namespace

TEST_CASE("read_once: a requested piece is withheld from the peers that understand it, until its owner leaves") {
    read_once_test t;
    auto const owner = t.connect(3);
    auto const other = t.connect(4);
    auto const old_client = t.connect(5, false);
    owner->request_piece(5, piece_length);
    t.loop.run_until([&] { return other->withheld.contains(5); });
    t.read_by_seed(*old_client);
    t.read_by_seed(*owner);
    CHECK_FALSE(owner->withheld.contains(5));
    CHECK(old_client->extended_payloads(wire_peer::dont_have).empty());
    // A seed that lacks a piece would be disconnected: it says once that it is not a seed (BEP 21).
    other->request_piece(6, piece_length);
    t.loop.run_until([&] { return owner->withheld.contains(6); });
    owner->request_piece(7, piece_length);
    t.loop.run_until([&] { return other->withheld.contains(7); });
    CHECK(other->extended_payloads(wire_peer::upload_only) == std::vector<std::string>{std::string(1, '\0')});

    owner->close();
    t.loop.run_until([&] { return !other->withheld.contains(5); });
}

TEST_CASE("read_once: switched off by a reload, every piece is offered again") {
    read_once_test t;
    auto const owner = t.connect(3);
    auto const other = t.connect(4);
    for (int piece = 1; piece < t.image.pieces(); ++piece) {
        owner->request_piece(piece, piece_length);
    }
    t.loop.run_until([&] { return other->withheld.size() == static_cast<std::size_t>(t.image.pieces()); });
    auto network = network_on(1);
    network.read_once = false;
    t.seed.session.apply(network, {});
    // As a waiting peer it would be offered 8 pieces after two seconds, 24 after four, and all after twelve.
    t.loop.run_until([&] { return other->withheld.empty(); }, std::chrono::seconds(10));
}

TEST_CASE("read_once: nothing is withheld if it is off") {
    auto network = network_on(1);
    network.read_once = false;
    read_once_test t(network);
    auto const owner = t.connect(3);
    auto const other = t.connect(4);
    owner->request_piece(5, piece_length);
    t.read_by_seed(*owner);
    t.read_by_seed(*other);
    CHECK(other->extended_payloads(wire_peer::dont_have).empty());
}
