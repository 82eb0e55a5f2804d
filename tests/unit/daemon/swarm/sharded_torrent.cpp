#include "daemon/swarm/sharded_torrent.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "swarm_fixture.hpp"

using namespace seedbed;
using events = std::vector<std::string>;

namespace {

struct two_parts {
    test::recording_listener listener;
    int removals = 0;
    std::shared_ptr<sharded_torrent> torrent =
        std::make_shared<sharded_torrent>("sda1", listener, 2, [this] { ++removals; });
};

torrent_progress progress_of(torrent_progress::phase phase, double fraction, int peers) {
    torrent_progress progress;
    progress.current = phase;
    progress.fraction = fraction;
    progress.bytes_left = static_cast<std::int64_t>((1 - fraction) * 100);
    progress.downloaded = peers * 1;
    progress.uploaded = peers * 10;
    progress.download_rate = peers * 100;
    progress.upload_rate = peers * 1000;
    progress.peers = peers;
    return progress;
}

} // namespace

TEST_CASE("sharded torrent: an event that every session reports counts once") {
    two_parts t;
    for (std::size_t i = 0; i < 2; ++i) {
        t.torrent->part(i).on_checked();
        t.torrent->part(i).on_complete();
        t.torrent->part(i).on_content_differs();
    }
    CHECK(t.listener.events == events{"checked", "complete", "differs"});
}

TEST_CASE("sharded torrent: other events are passed on each time") {
    two_parts t;
    t.torrent->part(0).on_piece_damaged(3);
    t.torrent->part(1).on_piece_damaged(4);
    t.torrent->part(1).on_torrent_error("reason");
    t.torrent->part(0).on_pieces({true, false});
    CHECK(t.listener.events == events{"damaged", "damaged", "error", "pieces"});
    CHECK(t.listener.damaged_piece == 4);
    CHECK(t.listener.error == "reason");
    CHECK(t.listener.pieces == std::vector<bool>{true, false});
}

TEST_CASE("sharded torrent: progress adds up, and the session furthest behind counts") {
    using phase = torrent_progress::phase;
    two_parts t;
    t.torrent->part(1).on_progress(progress_of(phase::complete, 1, 2));
    CHECK(t.listener.progress.current == phase::complete); // of the only session that has reported
    CHECK(t.torrent->peers() == std::vector<int>{0, 2});
    t.torrent->part(0).on_progress(progress_of(phase::checking, 0.25, 3));
    auto const& sum = t.listener.progress;
    CHECK(sum.current == phase::checking);
    CHECK(sum.fraction == 0.25);
    CHECK(sum.bytes_left == 75);
    CHECK(sum.downloaded == 5);
    CHECK(sum.uploaded == 50);
    CHECK(sum.download_rate == 500);
    CHECK(sum.upload_rate == 5000);
    CHECK(sum.peers == 5);
    CHECK(t.torrent->peers() == std::vector<int>{3, 2});
}

TEST_CASE("sharded torrent: reports each session that no longer has it") {
    two_parts t;
    CHECK(t.torrent->is_in(0));
    CHECK_FALSE(t.torrent->is_in(2));
    t.torrent->part(0).on_removed();
    CHECK(t.removals == 1);
    CHECK_FALSE(t.torrent->is_in(0));
    CHECK(t.torrent->is_in_any());
    t.torrent->part(1).on_removed();
    CHECK(t.removals == 2);
    CHECK_FALSE(t.torrent->is_in_any());
    CHECK(t.listener.events.empty()); // the owner calls on_removed()
}

TEST_CASE("sharded torrent: may be released while it reports that it was removed") {
    test::recording_listener listener;
    std::shared_ptr<sharded_torrent> torrent;
    torrent = std::make_shared<sharded_torrent>("sda1", listener, 1, [&torrent] { torrent.reset(); });
    torrent->part(0).on_removed();
    CHECK(torrent == nullptr);
}
