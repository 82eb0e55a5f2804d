#include "daemon/swarm/sharded_session.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include <boost/asio/ip/address.hpp>
#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <libtorrent/entry.hpp>

#include "core/backend/served_image.hpp"
#include "core/foundation/worker_pool.hpp"
#include "daemon/swarm/network_shards.hpp"
#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;
using namespace std::chrono_literals;
using events = std::vector<std::string>;
namespace lt = libtorrent;

namespace {

constexpr int piece_length = 64 << 10;
constexpr int first_port = 6881;

int home_of(int n) {
    return shard_of(boost::asio::ip::make_address(loopback(n)), 2);
}
/// The number of a loopback address whose home is \p shard.
int address_at(int shard) {
    int n = 10;
    while (home_of(n) != shard) {
        ++n;
    }
    return n;
}

/// Sessions, their worker and one torrent's events.
struct sharded {
    sharded(test_loop& main, test_store& of, network_settings const& network)
        : loop(main)
        , store(of)
        , swarm(main.context, of.shared, network, 16 << 20, [this] { ++activities; }) {
        swarm.when_listening([this](result<void> const& outcome) { listening = outcome; });
    }
    sharded(sharded const&) = delete;
    sharded& operator=(sharded const&) = delete;
    ~sharded() { shut_down(); }

    void shut_down() {
        if (!ended) {
            swarm.shut_down(worker, [this] { ended = true; });
            static_cast<void>(loop.reaches([this] { return ended; }, 60s));
        }
    }
    void run_until(std::string const& event) {
        loop.run_until([&] { return listener.has(event); });
    }
    void round_trip() {
        bool answered = false;
        swarm.ping([&answered] { answered = true; });
        loop.run_until([&answered] { return answered; });
    }
    [[nodiscard]] std::vector<peer_status> peers(sharded_session::id torrent) {
        std::vector<peer_status> list;
        bool done = false;
        swarm.request_peers(torrent, worker, [&](std::vector<peer_status> found) {
            boost::asio::post(loop.context, [&, found = std::move(found)] {
                list = found;
                done = true;
            });
        });
        loop.run_until([&] { return done; });
        return list;
    }

    test_loop& loop;
    test_store& store;
    recording_listener listener;
    std::optional<result<void>> listening;
    int activities = 0;
    bool ended = false;
    worker_pool worker{"test", 1};
    sharded_session swarm; ///< last: its handlers use the others
};

network_settings two_shards(int n) {
    auto network = network_on(n);
    network.shards = 2;
    return network;
}

/// Two shards on address 1 that seed an image.
struct two_shard_test {
    explicit two_shard_test(int pieces = 4)
        : image(pieces) {}

    void add(std::int64_t upload_limit = 0) {
        auto spec = store.checked_spec();
        spec.upload_limit = upload_limit;
        torrent = seed.swarm.add(spec, seed.listener);
        seed.run_until("complete");
    }
    [[nodiscard]] std::shared_ptr<wire_peer> connect(int from, int shard, std::string const& peer_id) {
        return connect_unchoked(loop, image.torrent(), from, endpoint(1, first_port + shard), peer_id);
    }

    test_loop loop;
    test_image image;
    test_store store{image, image_mode::seed, image.full_file()};
    sharded seed{loop, store, two_shards(1)};
    sharded_session::id torrent = 0;
};

constexpr char const* one_id = "-XX0001-000000000001";
constexpr char const* other_id = "-XX0001-000000000002";

} // namespace

TEST_CASE("sharded session: listens on a port per shard, and reports one that is taken") {
    test_loop loop;
    test_image const image(1);
    test_store store(image, image_mode::seed, image.full_file());
    {
        sharded free(loop, store, two_shards(1));
        loop.run_until([&] { return free.listening.has_value(); });
        CHECK(free.listening->has_value());
    }
    tcp::acceptor const taken(loop.context, endpoint(2, first_port + 1));
    sharded blocked(loop, store, two_shards(2));
    loop.run_until([&] { return blocked.listening.has_value(); });
    REQUIRE_FALSE(blocked.listening->has_value());
    CHECK(blocked.listening->error().message ==
          "listen on " + to_string(listener(2, 6882)) + ": Address already in use");
}

TEST_CASE("sharded session: the events of two sessions are those of one torrent") {
    two_shard_test t;
    t.add();
    t.seed.round_trip();
    t.seed.swarm.remove(t.torrent);
    t.seed.run_until("removed");
    t.seed.round_trip();
    CHECK(std::ranges::count(t.seed.listener.events, "complete") == 1);
    CHECK(std::ranges::count(t.seed.listener.events, "removed") == 1);
    CHECK(t.seed.listener.events.back() == "removed");
}

TEST_CASE("sharded session: a peer at the wrong shard is sent the right port, and its home shard connects to it") {
    two_shard_test t;
    t.add();
    auto const from = address_at(1);
    auto const home = wire_peer::create(t.loop.context, t.image.torrent());
    home->accept(endpoint(from, 7000));
    auto const peer = wire_peer::create(t.loop.context, t.image.torrent());
    peer->connect(endpoint(from).address(), endpoint(1, first_port));
    t.loop.run_until([&] { return peer->extension_handshake.has_value(); });
    REQUIRE(peer->extension_handshake->find_key("sb_shard") != nullptr);
    CHECK((*peer->extension_handshake)["sb_shard"].integer() == first_port + 1);
    lt::entry handshake;
    handshake["m"] = lt::entry(lt::entry::dictionary_t);
    handshake["p"] = 7000;
    peer->send_extension_handshake(handshake);
    t.loop.run_until([&] { return peer->closed && home->extension_handshake.has_value(); });
    CHECK(home->extension_handshake->find_key("sb_shard") == nullptr);
}

TEST_CASE("sharded session: a target that knows only the wrong port ends up at its own shard") {
    for (int const port : {first_port, first_port + 1}) { // one of them is the wrong one
        two_shard_test t;
        t.add();
        test_store target_store(t.image, image_mode::deploy, t.image.empty_file());
        sharded target(t.loop, target_store, two_shards(2));
        auto spec = target_store.checked_spec();
        spec.peers = {listener(1, port)};
        auto const torrent = target.swarm.add(spec, target.listener);
        target.run_until("complete");
        CHECK(target.listener.events == events{"checked", "complete"});
        auto const list = t.seed.peers(t.torrent);
        CHECK(list.size() <= 1); // two seeds disconnect each other
        target.swarm.remove(torrent);
        target.run_until("removed");
        CHECK(target.listener.events == events{"checked", "complete", "pieces", "removed"});
    }
}

TEST_CASE("sharded session: a configured peer is connected to by its home shard alone") {
    two_shard_test t;
    auto const from = address_at(1);
    auto const peer = wire_peer::create(t.loop.context, t.image.torrent());
    peer->accept(endpoint(from));
    t.add();
    t.seed.swarm.update(t.torrent, {listener(from)}, {});
    t.loop.run_until([&] { return peer->extension_handshake.has_value(); });
    CHECK(peer->extension_handshake->find_key("sb_shard") == nullptr);
    CHECK(t.seed.peers(t.torrent).size() == 1);
}

TEST_CASE("sharded session: a peer that is connected to both shards is listed once") {
    two_shard_test t;
    t.add();
    auto const first = t.connect(address_at(0), 0, one_id);
    auto const second = t.connect(address_at(1), 1, one_id);
    CHECK(t.seed.peers(t.torrent).size() == 1);
    auto const third = t.connect(address_at(1), 1, other_id);
    CHECK(t.seed.peers(t.torrent).size() == 2);
    auto const deadline = std::chrono::steady_clock::now() + 30s;
    while (t.seed.listener.progress.peers != 3) {
        REQUIRE(std::chrono::steady_clock::now() < deadline);
        t.seed.swarm.request_progress();
        t.seed.round_trip();
    }
    CHECK(t.seed.activities >= 3);
}

TEST_CASE("sharded session: a torrent's upload limit is divided between the shards", "[waits]") {
    two_shard_test t(8);
    t.add(128 << 10);
    auto const first = t.connect(address_at(0), 0, one_id);
    auto const second = t.connect(address_at(1), 1, other_id);
    t.seed.swarm.request_progress();
    t.seed.round_trip();
    auto const begin = std::chrono::steady_clock::now();
    for (int piece = 0; piece < 5; ++piece) {
        first->request_piece(piece, piece_length);
        second->request_piece(piece, piece_length);
    }
    t.loop.run_until([&] { return first->count(wire_peer::piece) == 20 && second->count(wire_peer::piece) == 20; });
    // 320 KiB each at 64 KiB/s; it would be half of that at 128 KiB/s.
    CHECK(std::chrono::steady_clock::now() - begin >= 3500ms);
}

TEST_CASE("sharded session: a ping is answered once, by all shards") {
    two_shard_test t;
    t.seed.round_trip();
    auto const before = t.seed.swarm.last_pong();
    int answers = 0;
    t.seed.swarm.ping([&answers] { ++answers; });
    t.seed.round_trip();
    CHECK(answers == 1);
    CHECK(t.seed.swarm.last_pong() > before);
}

TEST_CASE("sharded session: shuts down with torrents in it, or after they are removed") {
    auto const remove = GENERATE(false, true);
    two_shard_test t;
    t.add();
    if (remove) {
        t.seed.swarm.remove(t.torrent);
        t.seed.run_until("removed");
    }
    t.seed.shut_down();
    CHECK(t.seed.ended);
    CHECK(t.seed.listener.has("removed") == remove);
}
