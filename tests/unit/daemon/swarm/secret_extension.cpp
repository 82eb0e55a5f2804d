#include "daemon/swarm/secret_extension.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <catch2/catch.hpp>
#include <libtorrent/entry.hpp>

#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;
using namespace std::chrono_literals;
namespace lt = libtorrent;

namespace {

std::shared_ptr<shared_secret const> secret_of(char letter) {
    return std::make_shared<shared_secret const>(std::string(16, letter));
}

/// A seed on address 1 with a secret, and a target on address 2.
struct secret_test {
    explicit secret_test(std::shared_ptr<shared_secret const> of_target, std::chrono::seconds patience = 2s) {
        auto spec = store.checked_spec();
        spec.secret = secret_of('s');
        spec.secret_patience = patience;
        seed.add(spec);
        seed.run_until("complete");
        auto wanted = target_store.spec();
        wanted.peers = {listener(1)};
        wanted.secret = std::move(of_target);
        target.add(wanted);
    }

    test_loop loop;
    test_image image{5};
    std::filesystem::path file{image.empty_file()};
    test_store store{image, image_mode::seed, image.full_file()};
    test_store target_store{image, image_mode::deploy, file};
    session_with_torrent seed{loop, store, 1};
    session_with_torrent target{loop, target_store, 2};
};

} // namespace

TEST_CASE("secret: a target that knows it gets the image") {
    secret_test t(secret_of('s'), 1h);
    t.target.run_until("complete");
}

TEST_CASE("secret: a target with another one, or with none, gets no piece", "[waits]") {
    for (auto const& other : {secret_of('o'), std::shared_ptr<shared_secret const>()}) {
        secret_test t(other);
        t.target.run_until("checked");
        // Meanwhile, a client that asks although it is choked is refused: the time is over for both of them.
        auto const stranger = connect_peer(t.loop, t.image.torrent(), 3, endpoint(1));
        stranger->send(wire_peer::interested);
        stranger->request_piece(0, 64 << 10);
        t.loop.run_until([&] { return stranger->closed; });
        CHECK(stranger->count(wire_peer::piece) == 0);
        CHECK(stranger->count(wire_peer::unchoke) <= 1); // with the handshake: its INTERESTED is not answered
        CHECK_FALSE(t.target.listener.has("complete"));
    }
}

TEST_CASE("secret: nothing is requested from a peer that does not know it", "[waits]") {
    for (auto const offer : {wire_peer::unchoke, wire_peer::allowed_fast}) {
        test_loop loop;
        test_image const image{5};
        auto const stranger = wire_peer::create(loop.context, image.torrent());
        stranger->support_fast();
        stranger->accept(endpoint(3));
        test_store store{image, image_mode::deploy, image.empty_file()};
        session_with_torrent target{loop, store, 2};
        auto wanted = store.spec();
        wanted.peers = {listener(3)};
        wanted.secret = secret_of('s');
        wanted.secret_patience = 4s; // the offers arrive within it, also on a busy machine
        target.add(wanted);
        loop.run_until([&] { return stranger->connected; });
        stranger->send(wire_peer::bitfield, "\xf8");
        for (std::uint32_t piece = 0; piece < 5; ++piece) {
            stranger->send(offer, offer == wire_peer::unchoke ? "" : big_endian(piece));
        }
        loop.run_until([&] { return stranger->closed; });
        CHECK(stranger->count(wire_peer::interested) > 0);
        CHECK(stranger->count(wire_peer::request) == 0);
    }
}

TEST_CASE("secret: a code that is wrong, too long or this side's own ends the connection") {
    for (std::string const& code : {std::string(64, '0'), std::string(1000, '0'), std::string()}) {
        test_loop loop;
        test_image const image{1};
        test_store store{image, image_mode::seed, image.full_file()};
        session_with_torrent seed{loop, store, 1};
        auto spec = store.checked_spec();
        spec.secret = secret_of('s');
        seed.add(spec);
        seed.run_until("complete");
        auto const peer = wire_peer::create(loop.context, image.torrent());
        // From the seed's own address, so that only the direction distinguishes the codes.
        peer->connect(endpoint(1).address(), endpoint(1));
        loop.run_until([&] { return peer->extension_handshake.has_value(); });
        CHECK(peer->extension_handshake->find_key("m")->find_key("sb_auth")->integer() == 61);
        lt::entry handshake;
        handshake["m"]["sb_auth"] = 9;
        handshake["sb_nonce"] = peer->extension_handshake->find_key("sb_nonce")->string();
        peer->send_extension_handshake(handshake);
        loop.run_until([&] { return !peer->extended_payloads(9).empty(); });
        auto const own = peer->extended_payloads(9).front(); // over equal numbers; only the roles differ
        CHECK(own.size() == 64);
        peer->send(wire_peer::extended, "\x3d" + (code.empty() ? own : code));
        peer->send(wire_peer::interested);
        peer->request_piece(0, 64 << 10);
        loop.run_until([&] { return peer->closed; });
        CHECK(peer->count(wire_peer::piece) == 0);
    }
}

TEST_CASE("secret: a code that is announced too long is refused before it arrives") {
    test_loop loop;
    test_image const image{1};
    test_store store{image, image_mode::seed, image.full_file()};
    session_with_torrent seed{loop, store, 1};
    auto spec = store.checked_spec();
    spec.secret = secret_of('s');
    spec.secret_patience = 1h;
    seed.add(spec);
    seed.run_until("complete");
    auto const peer = wire_peer::create(loop.context, image.torrent());
    peer->connect(endpoint(3).address(), endpoint(1));
    loop.run_until([&] { return peer->extension_handshake.has_value(); });
    peer->send_beginning(1000, wire_peer::extended, "\x3d" + std::string(10, '0'));
    loop.run_until([&] { return peer->closed; });
}
