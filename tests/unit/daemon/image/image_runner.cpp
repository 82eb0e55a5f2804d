// An image seen from outside: its numbers, its log lines, and a reload's changes.

#include <string>
#include <vector>

#include <catch2/catch.hpp>

#include "image_fixture.hpp"
#include "support/endpoints.hpp"

using namespace seedbed;
using test::image_fixture;

namespace {

using enum image_state;

torrent_progress moving(torrent_progress::phase phase) {
    torrent_progress progress;
    progress.current = phase;
    progress.fraction = 0.436;
    progress.bytes_left = 26'000;
    progress.downloaded = 20'000;
    progress.uploaded = 5'000;
    progress.download_rate = 2 << 20;
    progress.upload_rate = 3 << 20;
    progress.peers = 2;
    return progress;
}

} // namespace

TEST_CASE("an image reports its progress, in numbers and in one line") {
    image_fixture image(image_mode::deploy);
    image.start();
    image.run_until_joined();
    CHECK(image.job->is_moving());
    torrent_progress half;
    half.fraction = 0.996;
    image.swarm.tell(half);
    CHECK(image.line() == "sda1: checking 99%");
    image.job->log_summary();
    CHECK(image.logged("sda1: checking 99%"));

    image.swarm.tell(moving(torrent_progress::phase::downloading)); // checked, before on_checked()
    CHECK(image.state() == checking);
    image.swarm.listener().on_checked();
    image.swarm.tell(moving(torrent_progress::phase::downloading));
    CHECK(image.state() == downloading);
    CHECK(image.line() == "sda1: downloading 43%, 2 MiB/s, 2 peers");
    auto const status = image.job->status();
    CHECK(status.state == downloading);
    CHECK(status.fraction == 0.436);
    CHECK(status.bytes_left == 26'000);
    CHECK(status.downloaded == 20'000);
    CHECK(status.uploaded == 5'000);
    CHECK(status.download_rate == 2 << 20);
    CHECK(status.upload_rate == 3 << 20);
    CHECK(status.peers == 2);
    CHECK_FALSE(status.durable);
    CHECK(status.age_seconds >= status.phase_seconds);
    image.job->log_summary();
    CHECK(image.logged("sda1: downloading 43%, 2 MiB/s, 2 peers, 25 KiB left, about 0s"));

    image.complete_download();
    image.run_until(seeding);
    image.swarm.tell(moving(torrent_progress::phase::complete));
    CHECK(image.line() == "sda1: seeding, 3 MiB/s to 2 peers");
    image.swarm.removes_by_itself = false;
    bool closed = false;
    image.job->close([&] { closed = true; });
    auto const left = image.job->status();
    CHECK(left.peers == 0);
    CHECK(left.download_rate == 0);
    CHECK(left.upload_rate == 0);
    CHECK(left.uploaded == 5'000);
    image.swarm.finish_removal();
    image.run_until([&] { return closed; });
    CHECK(image.job->status().total_bytes == 0); // released
    CHECK_FALSE(image.job->is_moving());
}

TEST_CASE("the summary of a seed is logged when something was sent since the last one") {
    image_fixture image(image_mode::seed);
    image.start();
    image.run_until(seeding);
    CHECK(image.line() == "sda1: seeding");
    CHECK_FALSE(image.job->is_moving());
    image.job->log_summary();
    CHECK(image.count_lines("uploaded") == 0);
    auto progress = moving(torrent_progress::phase::complete);
    progress.peers = 1;
    image.swarm.tell(progress);
    CHECK(image.job->is_moving());
    image.job->log_summary();
    image.job->log_summary();
    CHECK(image.count_lines("sda1: seeding, 3 MiB/s to 1 peer, 4.9 KiB uploaded") == 1);
    ++progress.uploaded;
    image.swarm.tell(progress);
    image.job->log_summary();
    CHECK(image.count_lines("uploaded") == 2);
    image.close();
}

TEST_CASE("a reload changes peers, trackers, upload limit and profile of an image in use") {
    image_fixture image(image_mode::seed);
    image.start();
    image.run_until(seeding);
    auto const changes = image.changes;
    auto changed = image.wanted;
    changed.peers = test::endpoints({"10.0.0.1:6881"});
    changed.trackers = {"http://other/announce"};
    changed.upload_limit = 1 << 20;
    changed.fleet.expect_hosts = {parse_ip_address("10.0.0.2").value()};
    changed.profile = storage_class::hdd;
    image.job->update(changed);
    CHECK(image.swarm.spec.peers == changed.peers);
    CHECK(image.swarm.spec.trackers == changed.trackers);
    CHECK(image.swarm.spec.upload_limit == changed.upload_limit);
    CHECK(image.swarm.spec.expected == changed.fleet.expect_hosts);
    CHECK(image.job->settings() == changed);
    CHECK(image.job->status().profile == storage_class::hdd);
    CHECK(image.swarm.count("remove") == 0);
    CHECK(image.changes == changes);
    auto stored = image.shared->find_image(image.swarm.key);
    CHECK(stored->io().read_ahead() == image.in_force.profile(storage_class::hdd).read_ahead / block_size);
    image.in_force.profiles[static_cast<std::size_t>(storage_class::hdd)].read_ahead = block_size;
    image.job->apply_profile();
    CHECK(stored->io().read_ahead() == 1);
    stored.reset(); // or the device would stay open
    image.close();
}

TEST_CASE("a reload before the swarm is joined takes effect when it is joined") {
    image_fixture image(image_mode::seed);
    image.start();
    auto changed = image.wanted;
    changed.peers = test::endpoints({"10.0.0.1:6881"});
    image.job->update(changed);
    image.run_until(seeding);
    CHECK(image.swarm.spec.peers == changed.peers);
    image.close();
    image.job->update(image.wanted); // and afterwards it changes nothing
    CHECK(image.swarm.calls == std::vector<std::string>{"add", "remove"});
}

TEST_CASE("an image's peers are those of the swarm, and none while it is outside the swarm") {
    image_fixture image(image_mode::seed);
    peer_status peer;
    peer.address = "10.0.0.1";
    image.swarm.connected = {peer};
    std::optional<std::vector<peer_status>> answer;
    auto const take = [&](std::vector<peer_status> const& peers) { answer = peers; };
    image.start();
    image.job->request_peers(take);
    CHECK_FALSE(answer); // never at once
    image.run_until([&] { return answer.has_value(); });
    CHECK(answer->empty());
    image.run_until(seeding);
    answer.reset();
    image.job->request_peers(take);
    image.run_until([&] { return answer.has_value(); });
    REQUIRE(answer->size() == 1);
    CHECK(answer->front().address == "10.0.0.1");
    answer.reset();
    image.job->request_peers(take);
    image.close();
    image.job.reset();
    image.run_ready();
    SUCCEED("an answer for an image that is gone is dropped");
}

TEST_CASE("the state of an image is announced on every change") {
    image_fixture image(image_mode::seed);
    image.start();
    image.run_until(seeding);
    image.close();
    CHECK(image.states == std::vector<image_state>{opening, seeding, closing, image_state::closed});
}
