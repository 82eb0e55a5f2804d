#include "daemon/swarm/torrent_session.hpp"

#include <algorithm>
#include <chrono>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <catch2/catch.hpp>

#include "daemon/log/logging.hpp"
#include "session_fixture.hpp"

using namespace seedbed;
using namespace seedbed::test;
using namespace std::chrono_literals;
using events = std::vector<std::string>;

namespace {

constexpr int piece_length = 64 << 10;

/// An image, a seed of it on address 1, and the test's connections to it.
struct seed_test {
    explicit seed_test(int pieces = 4)
        : image(pieces) {}

    test_loop loop;
    test_image image;
    test_store store{image, image_mode::seed, image.full_file()};
    session_with_torrent seed{loop, store, 1};
};

/// A target on address 2.
struct target_test {
    target_test(test_loop& loop, test_image const& image)
        : file(image.empty_file())
        , store(image, image_mode::deploy, file)
        , target(loop, store, 2) {}

    std::filesystem::path file;
    test_store store;
    session_with_torrent target;
};

/// Counts the connections to an address.
struct counting_listener {
    counting_listener(test_loop& loop, tcp::endpoint const& at)
        : acceptor(loop.context, at) {
        accept();
    }
    void accept() {
        acceptor.async_accept([this](boost::system::error_code const& ec, tcp::socket socket) {
            if (!ec) {
                sockets.push_back(std::move(socket));
                accept();
            }
        });
    }

    std::vector<tcp::socket> sockets;
    tcp::acceptor acceptor;
};

} // namespace

TEST_CASE("session: reports that it listens") {
    seed_test t;
    t.loop.run_until([&] { return t.seed.listening.has_value(); });
    CHECK(t.seed.listening->has_value());
}

TEST_CASE("session: reports why it cannot listen") {
    test_loop loop;
    tcp::acceptor const other(loop.context, endpoint(1));
    test_image const image(1);
    test_store store(image, image_mode::seed, image.full_file());
    session_with_torrent blocked(loop, store, 1);
    loop.run_until([&] { return blocked.listening.has_value(); });
    REQUIRE_FALSE(blocked.listening->has_value());
    CHECK(blocked.listening->error().message == "listen on " + to_string(listener(1)) + ": Address already in use");
}

TEST_CASE("session: an image of unknown content is checked, and then complete") {
    seed_test t;
    t.seed.add(t.store.spec());
    t.loop.run_until([&] { return t.seed.listener.events.size() == 2; });
    CHECK(t.seed.listener.has("checked"));
    CHECK(t.seed.listener.has("complete"));
    t.seed.session.request_progress();
    t.seed.round_trip();
    CHECK(t.seed.listener.progress.current == torrent_progress::phase::complete);
    CHECK(t.seed.listener.progress.bytes_left == 0);
}

TEST_CASE("session: a target downloads from a configured peer, and reports what is written when it is removed") {
    seed_test t;
    t.seed.add(t.store.checked_spec());
    target_test d(t.loop, t.image);
    auto spec = d.store.checked_spec();
    spec.peers = {listener(1)};
    d.target.add(spec);
    d.target.run_until("complete");
    CHECK(d.target.listener.events == events{"checked", "complete"});
    CHECK(d.target.activities > 0);
    d.target.session.request_progress();
    d.target.round_trip();
    CHECK(d.target.listener.progress.downloaded >= static_cast<std::int64_t>(t.image.content().size()));

    d.target.session.remove(session_with_torrent::number);
    d.target.run_until("removed");
    CHECK(d.target.listener.events == events{"checked", "complete", "pieces", "removed"});
    CHECK(d.target.listener.pieces == std::vector<bool>(4, true));
    std::promise<void> written; // blocks of the last piece may be in flight
    d.store.storage->io().when_written([&written] { written.set_value(); });
    written.get_future().wait();
    CHECK((test_image::read(d.file) == t.image.content()));
}

TEST_CASE("session: a seed is removed without a report of its pieces") {
    seed_test t;
    t.seed.add(t.store.checked_spec());
    t.seed.run_until("complete");
    t.seed.session.remove(session_with_torrent::number);
    t.seed.run_until("removed");
    CHECK_FALSE(t.seed.listener.has("pieces"));
    CHECK(t.seed.listener.events.back() == "removed");
}

TEST_CASE("session: a torrent that is removed before libtorrent has added it is still removed") {
    seed_test t;
    t.seed.add(t.store.checked_spec());
    t.seed.session.remove(session_with_torrent::number);
    t.seed.run_until("removed");
    CHECK(t.seed.listener.events.back() == "removed");
    t.seed.round_trip();
    CHECK(t.seed.listener.events.back() == "removed");
}

TEST_CASE("session: a piece that fails its hash check is reported with its number") {
    test_loop loop;
    test_image const image(4);
    test_store store(image, image_mode::seed, image.damaged_file(2));
    session_with_torrent seed(loop, store, 1);
    seed.add(store.checked_spec());
    target_test d(loop, image);
    auto spec = d.store.checked_spec();
    spec.peers = {listener(1)};
    d.target.add(spec);
    d.target.run_until("damaged");
    CHECK(d.target.listener.damaged_piece == 2);
    CHECK_FALSE(d.target.listener.has("complete"));
}

TEST_CASE("session: the source of a damaged piece is banned, and tried again when its ban is lifted") {
    test_loop loop;
    test_image const image(4);
    test_store store(image, image_mode::seed, image.damaged_file(2));
    session_with_torrent seed(loop, store, 1);
    seed.add(store.checked_spec());
    target_test d(loop, image);
    auto spec = d.store.checked_spec();
    spec.peers = {listener(1)};
    d.target.add(spec);
    d.target.run_until("banned");
    CHECK(d.target.listener.banned == endpoint(1));
    d.target.listener.events.clear();
    d.target.session.lift_ban(session_with_torrent::number, d.target.listener.banned);
    d.target.run_until("banned"); // it has sent the damaged piece again
    CHECK(d.target.listener.banned == endpoint(1));
}

TEST_CASE("session: a banned peer that connects from another port is refused until its ban is lifted") {
    test_loop loop;
    test_image const image(4);
    test_store store(image, image_mode::seed, image.damaged_file(2));
    session_with_torrent seed(loop, store, 1);
    seed.add(store.checked_spec());
    target_test d(loop, image);
    auto spec = d.store.checked_spec();
    spec.peers = {listener(1)};
    d.target.add(spec);
    d.target.run_until("banned");
    auto const again = wire_peer::create(loop.context, image.torrent());
    again->connect(endpoint(1).address(), endpoint(2));
    loop.run_until([&] { return again->closed; });
    auto const other = connect_peer(loop, image.torrent(), 3, endpoint(2));
    loop.run_until([&] { return other->extension_handshake.has_value(); });
    seed.session.remove(session_with_torrent::number); // so that no new ban follows
    seed.run_until("removed");
    d.target.session.lift_ban(session_with_torrent::number, d.target.listener.banned);
    auto const lifted = connect_peer(loop, image.torrent(), 1, endpoint(2));
    lifted->send_extension_handshake({});
    loop.run_until([&] { return lifted->extension_handshake.has_value(); });
    CHECK_FALSE(lifted->closed);
}

TEST_CASE("session: a seed that hashes before serving reports a source that differs, and no other") {
    test_loop loop;
    test_image const image(4);
    test_store store(image, image_mode::seed, image.damaged_file(2));
    session_with_torrent seed(loop, store, 1);
    auto spec = store.spec();
    spec.hash_before_serving = true;
    seed.add(spec);
    auto const peer = seed.connect(3, 1);
    peer->request_piece(1, piece_length);
    loop.run_until([&] { return peer->count(wire_peer::piece) == 4; });
    CHECK_FALSE(seed.listener.has("differs"));
    peer->request_piece(2, piece_length);
    seed.run_until("differs");
    CHECK(peer->count(wire_peer::piece) == 4);
}

TEST_CASE("session: new peers of the configuration are connected to") {
    seed_test t;
    auto const early = wire_peer::create(t.loop.context, t.image.torrent());
    auto const late = wire_peer::create(t.loop.context, t.image.torrent());
    early->accept(endpoint(3));
    late->accept(endpoint(4));
    t.seed.add(t.store.checked_spec());
    t.seed.session.update(session_with_torrent::number, {listener(3)}, {}); // not added yet
    t.loop.run_until([&] { return early->connected; });
    CHECK_FALSE(late->connected);
    t.seed.session.update(session_with_torrent::number, {listener(3), listener(4)}, {});
    t.loop.run_until([&] { return late->connected; });
    CHECK_FALSE(early->closed); // existing connections stay
}

TEST_CASE("session: new trackers of the configuration are announced to") {
    seed_test t;
    counting_listener early(t.loop, endpoint(3));
    counting_listener late(t.loop, endpoint(4));
    std::vector<std::string> const first{"http://" + to_string(listener(3)) + "/announce"};
    std::vector<std::string> const second{"http://" + to_string(listener(4)) + "/announce"};
    t.seed.add(t.store.checked_spec());
    t.seed.session.update(session_with_torrent::number, {}, first); // not added yet
    t.seed.session.update(session_with_torrent::number, {}, first); // a second reload without a change
    t.loop.run_until([&] { return !early.sockets.empty(); });
    CHECK(late.sockets.empty());
    t.seed.session.update(session_with_torrent::number, {}, second);
    t.loop.run_until([&] { return !late.sockets.empty(); });
}

TEST_CASE("session: a tracker that cannot be reached is soon asked again", "[waits]") {
    seed_test t;
    counting_listener tracker(t.loop, endpoint(3)); // which closes each connection
    t.seed.add(t.store.checked_spec());
    t.seed.session.update(session_with_torrent::number, {}, {"http://" + to_string(listener(3)) + "/announce"});
    std::size_t asked = 0;
    auto const four_times = [&] {
        asked += tracker.sockets.size();
        tracker.sockets.clear();
        return asked >= 4;
    };
    t.loop.run_until(four_times, 30s); // after 7 s; libtorrent alone asks for the fourth time after 50 s
}

TEST_CASE("session: the upload limit of a torrent holds until it is changed", "[waits]") {
    seed_test t(32);
    auto spec = t.store.checked_spec();
    spec.upload_limit = 64 << 10;
    t.seed.add(spec);
    auto const peer = t.seed.connect(3, 1);
    auto const begin = std::chrono::steady_clock::now();
    for (int piece = 0; piece < 32; ++piece) {
        peer->request_piece(piece, piece_length);
    }
    t.loop.run_until([&] { return peer->count(wire_peer::piece) >= 12; }, 60s); // 192 KiB
    CHECK(std::chrono::steady_clock::now() - begin >= 1s);
    t.seed.session.set_upload_limit(session_with_torrent::number, 0);
    t.loop.run_until([&] { return peer->count(wire_peer::piece) == 32 * 4; }, 20s); // the rest would take 29 s
}

TEST_CASE("session: lists its peers, and counts them") {
    seed_test t;
    t.seed.add(t.store.checked_spec());
    CHECK(t.seed.session.peers_of(session_with_torrent::number)().empty()); // not added yet
    auto const peer = t.seed.connect(3, 1);
    auto const list = t.seed.session.peers_of(session_with_torrent::number)();
    REQUIRE(list.size() == 1);
    CHECK(list.front().address == loopback(3));
    CHECK(list.front().incoming);
    CHECK(list.front().id.starts_with("2d5858303030312d")); // -XX0001-
    CHECK_FALSE(list.front().seed);
    CHECK(t.seed.session.peers() == 0); // no progress was requested
    t.seed.request_progress_until([&] { return t.seed.session.peers() == 1; });
    CHECK(t.seed.listener.progress.peers == 1);
}

TEST_CASE("session: answers a request for pieces") {
    seed_test t;
    t.seed.add(t.store.checked_spec());
    t.seed.run_until("complete");
    t.seed.session.request_pieces(session_with_torrent::number);
    t.seed.run_until("pieces");
    CHECK(t.seed.listener.pieces == std::vector<bool>(4, true));
}

TEST_CASE("session: the network thread answers each ping once") {
    seed_test t;
    t.seed.round_trip();
    auto const before = t.seed.session.last_pong();
    int answers = 0;
    t.seed.session.ping([&answers] { ++answers; });
    t.seed.round_trip();
    CHECK(answers == 1);
    CHECK(t.seed.session.last_pong() > before);
}

TEST_CASE("session: ends with a torrent in it, without a further event") {
    test_loop loop;
    test_image const image(4);
    test_store store(image, image_mode::seed, image.full_file());
    recording_listener listener;
    {
        session_with_torrent seed(loop, store, 1);
        seed.session.add(2, store.checked_spec(), listener, {});
        loop.run_until([&] { return listener.has("complete"); });
    }
    loop.context.poll();
    CHECK_FALSE(listener.has("removed"));
}

TEST_CASE("session: alerts that libtorrent drops are logged once a minute, however often it does", "[waits]") {
    std::mutex mutex;
    std::vector<std::string> lines;
    start_logging(log_level::info, [&](log_level, std::string_view line) {
        std::scoped_lock const lock(mutex);
        lines.emplace_back(line);
    });
    {
        seed_test t;
        t.seed.add(t.store.checked_spec());
        t.seed.run_until("checked");
        auto const peer = t.seed.connect(3, 1);
        for (int round = 1; round <= 3; ++round) {
            // The main thread takes no alert meanwhile. Half of these fit into the sockets' buffers; each of the others
            // is an alert, of which 100,000 are queued.
            peer->request_repeatedly(99, 1'200'000);
            peer->request_piece(0, piece_length);
            t.loop.run_until([&] { return peer->count(wire_peer::piece) == round * (piece_length >> 14); });
            t.seed.round_trip();
        }
    }
    start_logging(log_level::info);
    CHECK(std::ranges::count_if(lines,
                                [](auto const& line) { return line.starts_with("libtorrent dropped alerts"); }) == 1);
}
