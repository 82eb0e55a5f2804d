#include "daemon/swarm/room_extension.hpp"

#include <chrono>
#include <memory>

#include <catch2/catch.hpp>

#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;
using namespace std::chrono_literals;

TEST_CASE("room: a peer that is served keeps its place, one that only says that it is interested loses it", "[waits]") {
    constexpr int blocks = 4;
    constexpr int piece_length = blocks << 14;
    test_loop loop;
    test_image const image(4, piece_length);
    test_store store(image, image_mode::seed, image.full_file());
    auto network = network_on(1);
    network.connections = 2;
    session_with_torrent seed(loop, store, network, {.silent = 1s, .with_reason = 3s});
    seed.add(store.checked_spec());
    seed.run_until("checked");
    auto const served = seed.connect(2, 1); // it came first
    auto const idle = seed.connect(3, 1);
    int requested = 0;
    auto const end = std::chrono::steady_clock::now() + 30s;
    while (!idle->closed) {
        REQUIRE(std::chrono::steady_clock::now() < end);
        REQUIRE_FALSE(served->closed);
        idle->send(wire_peer::have, big_endian(0)); // only the first one is news
        if (served->count(wire_peer::piece) == requested) {
            served->request_piece(0, piece_length);
            requested += blocks;
        }
        auto const other = wire_peer::create(loop.context, image.torrent());
        other->connect(endpoint(4).address(), endpoint(1));
        loop.run_until([&] { return other->closed || idle->closed; });
        other->close();
    }
    CHECK_FALSE(served->closed);
}

TEST_CASE("room: an expected host gets a place when all are taken") {
    test_loop loop;
    test_image const image(4);
    test_store store(image, image_mode::seed, image.full_file());
    auto network = network_on(1);
    network.connections = 2;
    session_with_torrent seed(loop, store, network, {.silent = 1h, .with_reason = 1h});
    auto spec = store.checked_spec();
    spec.expected = {listener(5).address};
    seed.add(spec);
    seed.run_until("checked");
    auto const first = seed.connect(2, 1);
    auto const second = seed.connect(3, 1);
    auto const is_refused = [&](int from) {
        auto const peer = wire_peer::create(loop.context, image.torrent());
        peer->connect(endpoint(from).address(), endpoint(1));
        loop.run_until([&] { return peer->connected || peer->closed; });
        peer->send(wire_peer::interested);
        loop.run_until([&] { return peer->count(wire_peer::unchoke) > 0 || peer->closed; });
        return peer->closed;
    };
    CHECK(is_refused(4));
    CHECK_FALSE(is_refused(5));
    seed.session.set_expected(session_with_torrent::number, {listener(6).address});
    CHECK(is_refused(5));
    CHECK_FALSE(is_refused(6));
    CHECK_FALSE(first->closed);
    CHECK_FALSE(second->closed);
}
