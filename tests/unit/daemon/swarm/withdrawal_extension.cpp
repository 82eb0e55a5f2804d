#include "daemon/swarm/withdrawal_extension.hpp"

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

constexpr int choke = 0;   // BEP 3
constexpr int reject = 16; // BEP 6

/// A target that is complete, and peers of it.
struct withdrawal_test {
    withdrawal_test() {
        for (piece_index piece{0}; piece.value() < image.pieces(); ++piece) {
            supply->set_at_hand(piece, true);
        }
        auto spec = store.checked_spec();
        spec.pieces = std::vector<bool>(static_cast<std::size_t>(image.pieces()), true);
        spec.withdrawn = withdrawn;
        spec.supply = supply;
        target.add(spec);
        target.run_until("checked");
    }

    void withdraw(int piece) { withdrawn->add(piece_index{piece}); }
    /// \param understands lt_donthave.
    [[nodiscard]] std::shared_ptr<wire_peer> connect(int from, bool understands, bool fast = true) {
        auto const peer = wire_peer::create(loop.context, image.torrent());
        if (fast) {
            peer->support_fast();
        }
        peer->connect(endpoint(from).address(), endpoint(1));
        loop.run_until([&] { return peer->connected; });
        lt::entry handshake;
        handshake["m"] = lt::entry::dictionary_type();
        if (understands) {
            handshake["m"]["lt_donthave"] = wire_peer::dont_have;
            handshake["m"]["upload_only"] = wire_peer::upload_only;
        }
        peer->send_extension_handshake(handshake);
        return peer;
    }
    void until_unchoked(wire_peer& peer) {
        peer.send(wire_peer::interested);
        loop.run_until([&] { return peer.count(wire_peer::unchoke) > 0; });
    }
    /// How many blocks a peer requests with a piece.
    static constexpr int blocks = 4;

    test_loop loop;
    test_image image{6, blocks << 14};
    std::shared_ptr<withdrawn_pieces> withdrawn = std::make_shared<withdrawn_pieces>(image.pieces());
    std::shared_ptr<piece_supply> supply = std::make_shared<piece_supply>(image.pieces());
    test_store store{image, image_mode::deploy, image.full_file()};
    session_with_torrent target{loop, store, 1};
};

} // namespace

TEST_CASE("withdrawal: a peer is told of the pieces when it connects, and of later ones within a second") {
    withdrawal_test t;
    auto const early = t.connect(3, true);
    t.until_unchoked(*early);
    early->request_piece(1, withdrawal_test::blocks << 14);
    t.loop.run_until([&] { return early->count(wire_peer::piece) > 0; }); // its handshake has arrived
    t.withdraw(2);
    t.withdraw(4);
    t.loop.run_until([&] { return early->withheld == std::set<std::uint32_t>{2, 4}; });
    // libtorrent would disconnect a seed without a useful piece.
    CHECK(early->extended_payloads(wire_peer::upload_only).back() == std::string(1, '\0'));
    auto const late = t.connect(4, true);
    t.loop.run_until([&] { return late->withheld == std::set<std::uint32_t>{2, 4}; });
    // It has arrived again, and has left again, before anybody looked.
    auto const told = early->extended_payloads(wire_peer::dont_have).size();
    t.withdrawn->remove(piece_index{4});
    t.withdraw(4);
    t.loop.run_until([&] { return early->extended_payloads(wire_peer::dont_have).size() > told; });
    CHECK(early->extended_payloads(wire_peer::dont_have).back() == big_endian(4));
}

TEST_CASE("withdrawal: a request for such a piece is rejected, and all others are answered") {
    withdrawal_test t;
    auto const peer = t.connect(3, true);
    t.until_unchoked(*peer);
    t.withdraw(2);
    peer->request_piece(2, withdrawal_test::blocks << 14);
    peer->request_piece(3, withdrawal_test::blocks << 14);
    t.loop.run_until([&] { return peer->count(wire_peer::piece) == withdrawal_test::blocks; });
    CHECK(peer->count(reject) == withdrawal_test::blocks);
    CHECK(peer->withheld == std::set<std::uint32_t>{2});
    for (auto const& each : peer->messages) {
        if (each.type == wire_peer::piece) {
            CHECK(each.payload.substr(0, 4) == big_endian(3));
        } else if (each.type == reject) {
            CHECK(each.payload.substr(0, 4) == big_endian(2));
            CHECK(each.payload.substr(8) == big_endian(1 << 14));
        }
    }
    CHECK_FALSE(peer->closed);
}

TEST_CASE("withdrawal: a client that does not understand is disconnected when it requests such a piece, then choked") {
    withdrawal_test t;
    auto const fast = GENERATE(true, false);
    auto const old_client = t.connect(3, false, fast);
    t.until_unchoked(*old_client);
    t.withdraw(2);
    old_client->request_piece(3, withdrawal_test::blocks << 14);
    t.loop.run_until([&] { return old_client->count(wire_peer::piece) == withdrawal_test::blocks; });
    old_client->request_piece(2, withdrawal_test::blocks << 14);
    t.loop.run_until([&] { return old_client->closed; });
    CHECK(old_client->count(wire_peer::piece) == withdrawal_test::blocks);
    CHECK(old_client->count(reject) <= (fast ? 1 : 0));
    CHECK(old_client->extended_payloads(wire_peer::dont_have).empty());

    auto const again = t.connect(3, false, fast);
    again->send(wire_peer::interested);
    t.loop.run_until([&] { return again->count(choke) > 0; });
    CHECK(again->count(wire_peer::unchoke) == again->count(choke));
    CHECK_FALSE(again->closed);
    auto const other = t.connect(4, true);
    t.until_unchoked(*other);
    CHECK(other->count(choke) == 0);
}

TEST_CASE("withdrawal: one request for a piece that is not at hand is answered; the others must be sent again") {
    withdrawal_test t;
    t.supply->set_at_hand(piece_index{2}, false);
    auto const peer = t.connect(3, true);
    t.until_unchoked(*peer);
    peer->request_piece(2, withdrawal_test::blocks << 14);
    t.loop.run_until([&] { return peer->count(reject) == withdrawal_test::blocks - 1; });
    CHECK(peer->count(wire_peer::piece) == 1);
    CHECK(peer->extended_payloads(wire_peer::dont_have).empty());
    CHECK_FALSE(t.supply->requested(piece_index{2}));
    t.supply->set_at_hand(piece_index{2}, true); // the read has rebuilt it
    peer->request_piece(2, withdrawal_test::blocks << 14);
    t.loop.run_until([&] { return peer->count(wire_peer::piece) == 1 + withdrawal_test::blocks; });
    CHECK(peer->count(reject) == withdrawal_test::blocks - 1);
    CHECK_FALSE(t.supply->requested(piece_index{2}));
}

TEST_CASE("withdrawal: a client without the Fast Extension gets all blocks of a piece that is not at hand") {
    withdrawal_test t;
    t.supply->set_at_hand(piece_index{2}, false);
    auto const peer = t.connect(3, true, false);
    t.until_unchoked(*peer);
    peer->request_piece(2, withdrawal_test::blocks << 14);
    t.loop.run_until([&] { return peer->count(wire_peer::piece) == withdrawal_test::blocks; });
    CHECK_FALSE(t.supply->requested(piece_index{2}));
}

TEST_CASE("withdrawal: a piece is requested until it was sent or the peer has gone") {
    withdrawal_test t;
    auto const peer = t.connect(3, true);
    t.until_unchoked(*peer);
    t.supply->begin_request(piece_index{1}); // of another peer
    peer->request_piece(1, withdrawal_test::blocks << 14);
    t.loop.run_until([&] { return peer->count(wire_peer::piece) == withdrawal_test::blocks; });
    CHECK(t.supply->requested(piece_index{1}));
    t.supply->end_requests(piece_index{1}, 1);
    CHECK_FALSE(t.supply->requested(piece_index{1}));
}

TEST_CASE("withdrawal: peers see no difference while no piece is withdrawn") {
    withdrawal_test t;
    auto const peer = t.connect(3, true);
    auto const old_client = t.connect(4, false);
    for (auto const& each : {peer, old_client}) {
        t.until_unchoked(*each);
        each->request_piece(2, withdrawal_test::blocks << 14);
        t.loop.run_until([&] { return each->count(wire_peer::piece) == withdrawal_test::blocks; });
    }
    CHECK(peer->extended_payloads(wire_peer::dont_have).empty());
}
