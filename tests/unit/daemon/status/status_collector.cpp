#include "daemon/status/status_collector.hpp"

#include <deque>
#include <future>
#include <thread>

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>

#include "support/sample_status.hpp"

using namespace seedbed;
using namespace seedbed::test;
using namespace std::chrono_literals;

namespace {

/// A daemon whose network thread answers on the test's demand.
struct fake_daemon {
    boost::asio::io_context main{1};
    status_snapshot present = sample_snapshot();
    int asked = 0;
    int taken = 0;
    std::deque<std::function<void()>> progress;
    std::deque<status_collector::peers_receiver> peers;
    std::vector<status_snapshot> got;
    status_collector collector{
        main,
        {[this] {
             ++taken;
             auto snapshot = present;
             for (auto& image : snapshot.images) {
                 image.peers = nullptr;
             }
             return snapshot;
         },
         [this](std::function<void()> call) {
             ++asked;
             progress.push_back(std::move(call));
         },
         [this](worker_pool&, status_collector::peers_receiver const& each) { peers.push_back(each); }}};

    void collect(status_collector::clock::duration patience = 1min) {
        collector.collect(patience, [this](status_snapshot snapshot) { got.push_back(std::move(snapshot)); });
    }
    void answer_progress() {
        auto const call = progress.front();
        progress.pop_front();
        call();
    }
    void answer_peers() {
        peers.front()("win11", {sample_peer("192.0.2.7", 0.5)});
        peers.pop_front();
    }
    /// Runs until there are \p count answers.
    void await(std::size_t count) {
        while (got.size() < count) {
            main.restart();
            REQUIRE(main.run_one_for(10s) > 0);
        }
    }
    /// Runs everything that can run now.
    void settle() {
        main.restart();
        main.poll();
    }
};

} // namespace

TEST_CASE("status collector: a request waits for libtorrent's answer") {
    fake_daemon daemon;
    daemon.collect();
    daemon.collect();
    daemon.settle();
    CHECK(daemon.asked == 1);
    CHECK(daemon.got.empty());
    daemon.answer_progress();
    daemon.settle();
    CHECK(daemon.got.empty());
    daemon.answer_peers();
    daemon.settle();
    REQUIRE(daemon.got.size() == 2);
    CHECK(daemon.taken == 1);
    CHECK(daemon.got[0].silence == 0s);
    REQUIRE(daemon.got[1].images.size() == 3);
    REQUIRE(daemon.got[1].images[0].peers);
    CHECK(daemon.got[1].images[0].peers->front().address == "192.0.2.7");
    CHECK_FALSE(daemon.got[1].images[1].peers);
}

TEST_CASE("status collector: libtorrent is asked again only after half a second") {
    // Again if this thread was stopped for half a second between the two requests.
    for (auto in_time = false; !in_time;) {
        fake_daemon daemon;
        daemon.collect();
        auto const began = std::chrono::steady_clock::now();
        daemon.answer_progress();
        daemon.answer_peers();
        daemon.settle();
        REQUIRE(daemon.got.size() == 1);
        daemon.present.images[0].status.state = image_state::flushing;
        daemon.collect();
        in_time = std::chrono::steady_clock::now() - began < 500ms;
        if (!in_time) {
            continue;
        }
        CHECK(daemon.asked == 1);
        REQUIRE(daemon.got.size() == 2); // at once, with the daemon's current numbers
        CHECK(daemon.got[1].images[0].status.state == image_state::flushing);
        CHECK(daemon.got[1].images[0].peers);
        std::this_thread::sleep_for(510ms);
        daemon.collect();
        CHECK(daemon.asked == 2);
        CHECK(daemon.got.size() == 2);
    }
}

TEST_CASE("status collector: no request waits longer than its limit") {
    fake_daemon daemon;
    daemon.collect(1min);
    daemon.collect(30ms);
    daemon.await(1);
    daemon.main.restart();
    daemon.main.run_for(100ms);
    REQUIRE(daemon.got.size() == 1);
    CHECK(daemon.got[0].silence >= 30ms);
    CHECK_FALSE(daemon.got[0].images[0].peers);

    // A hanging network thread is not asked repeatedly, either.
    for (std::size_t answers = 2; answers <= 6; ++answers) {
        daemon.collect(1ms);
        daemon.await(answers);
    }
    CHECK(daemon.asked == 1);
    REQUIRE(daemon.got.size() == 6);
    CHECK(daemon.got[5].silence >= 80ms);

    // The request with the longer limit gets the late answer, and the silence has ended.
    daemon.answer_progress();
    daemon.answer_peers();
    daemon.settle();
    REQUIRE(daemon.got.size() == 7);
    CHECK(daemon.got[6].silence == 0s);
    CHECK(daemon.got[6].images[0].peers);
}

TEST_CASE("status collector: a slow list of peers does not count as a silent network thread") {
    fake_daemon daemon;
    daemon.collect(20ms);
    daemon.answer_progress();
    daemon.await(1);
    CHECK(daemon.got[0].silence == 0s);
}

TEST_CASE("status collector: a request does not wait for a removed image, whose peers are forgotten") {
    fake_daemon daemon;
    daemon.collect();
    daemon.answer_progress();
    daemon.answer_peers();
    daemon.settle();
    auto const image = daemon.present.images[0];
    daemon.present.images.erase(daemon.present.images.begin());
    std::this_thread::sleep_for(510ms);
    daemon.collect();
    daemon.answer_progress();
    daemon.peers.pop_front(); // released, never called
    daemon.settle();
    REQUIRE(daemon.got.size() == 2);
    daemon.present.images.push_back(image);
    daemon.collect();
    if (!daemon.progress.empty()) { // this thread was stopped for half a second: libtorrent is asked again
        daemon.answer_progress();
        daemon.peers.pop_front();
        daemon.settle();
    }
    REQUIRE(daemon.got.size() == 3);
    CHECK_FALSE(daemon.got[2].images.back().peers);
}

TEST_CASE("status collector: the last answer may be released on a worker, also after the end") {
    fake_daemon daemon;
    daemon.collect();
    daemon.answer_progress();
    std::thread([each = std::move(daemon.peers.front())]() mutable { each = nullptr; }).join();
    daemon.peers.pop_front();
    daemon.settle();
    CHECK(daemon.got.size() == 1);

    std::deque<status_collector::peers_receiver> late;
    {
        std::this_thread::sleep_for(510ms);
        daemon.collect();
        daemon.collector.close();
        late.swap(daemon.peers);
        daemon.progress.clear();
    }
    late.clear();
    daemon.main.restart();
    daemon.main.run(); // ends: no timer is left
    CHECK(daemon.got.size() == 1);
}
