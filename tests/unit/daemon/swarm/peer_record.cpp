#include "daemon/swarm/peer_record.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include <catch2/catch.hpp>

#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;

namespace {

peer_status recorded_peer(std::string const& id, std::int64_t downloaded, std::int64_t uploaded) {
    peer_status status;
    status.id = id;
    status.downloaded = downloaded;
    status.uploaded = uploaded;
    return status;
}

} // namespace

TEST_CASE("peer record: the bytes of a peer's connections are added up") {
    peer_record record;
    record.add(recorded_peer("a", 3, 1));
    record.add(recorded_peer("b", 0, 5));
    record.add(recorded_peer("a", 4, 2));
    auto const peers = record.peers();
    REQUIRE(peers.size() == 2);
    CHECK(peers.at("a").downloaded == 7);
    CHECK(peers.at("a").uploaded == 3);
    CHECK(peers.at("b").uploaded == 5);
}

TEST_CASE("peer record: beyond the limit, peers that sent payload take the places of those that did not") {
    peer_record record;
    record.add(recorded_peer("first", 1, 0));
    for (std::size_t i = 1; i < peer_record::limit; ++i) {
        record.add(recorded_peer("taker " + std::to_string(i), 0, 1));
    }
    record.add(recorded_peer("one taker more", 0, 1));
    CHECK(record.peers().count("one taker more") == 0);
    record.add(recorded_peer("source", 1, 0));
    auto const peers = record.peers();
    CHECK(peers.size() == peer_record::limit);
    CHECK(peers.count("first") == 1);
    CHECK(peers.count("source") == 1);
}

TEST_CASE("peer record: a session records those that left and those that were connected to the end") {
    test_loop loop;
    constexpr int piece_length = 64 << 10;
    test_image const image(4, piece_length);
    test_store store(image, image_mode::seed, image.full_file());
    auto const record = std::make_shared<peer_record>();
    std::shared_ptr<wire_peer> stays; // longer than the session
    {
        session_with_torrent seed(loop, store, 1);
        auto spec = store.checked_spec();
        spec.record = record;
        seed.add(spec);
        seed.run_until("checked");
        auto const leaves = seed.connect(2, 1);
        leaves->request_piece(0, piece_length);
        loop.run_until([&] { return leaves->count(wire_peer::piece) > 0; });
        leaves->close();
        loop.run_until([&] { return !record->peers().empty(); });
        stays = seed.connect(3, 1);
        stays->request_piece(1, piece_length);
        loop.run_until([&] { return stays->count(wire_peer::piece) > 0; });
        auto const idle = seed.connect(4, 1);
        CHECK(record->peers().size() == 1);
    }
    auto const peers = record->peers();
    REQUIRE(peers.size() == 2);
    std::string addresses;
    for (auto const& [id, peer] : peers) {
        CHECK(peer.uploaded >= block_size);
        addresses += peer.address + ' ';
    }
    CHECK_THAT(addresses, Catch::Contains(endpoint(2).address().to_string() + ' '));
    CHECK_THAT(addresses, Catch::Contains(endpoint(3).address().to_string() + ' '));
}
