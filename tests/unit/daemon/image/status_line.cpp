#include "daemon/image/status_line.hpp"

#include <catch2/catch.hpp>

using namespace seedbed;

namespace {

image_status status_of(image_state state) {
    image_status status;
    status.name = "sda1";
    status.state = state;
    status.fraction = 0.999;
    status.bytes_left = 3 << 20;
    status.uploaded = 5 << 20;
    status.download_rate = 1 << 20;
    status.upload_rate = 1536 << 10;
    status.peers = 1;
    status.failure = "no space";
    return status;
}

} // namespace

TEST_CASE("a status line has the numbers of its state") {
    CHECK(status_line(status_of(image_state::opening)) == "sda1: opening");
    CHECK(status_line(status_of(image_state::checking)) == "sda1: checking 99%");
    CHECK(status_line(status_of(image_state::downloading)) == "sda1: downloading 99%, 1 MiB/s, 1 peer");
    CHECK(status_line(status_of(image_state::flushing)) == "sda1: flushing");
    CHECK(status_line(status_of(image_state::verifying)) == "sda1: verifying 99%");
    CHECK(status_line(status_of(image_state::seeding)) == "sda1: seeding, 1.5 MiB/s to 1 peer");
    CHECK(status_line(status_of(image_state::failed)) == "sda1: failed: no space");
    CHECK(status_line(status_of(image_state::closing)) == "sda1: closing");
    CHECK(status_line(status_of(image_state::closed)) == "sda1: closed");
    auto idle = status_of(image_state::seeding);
    idle.peers = 0;
    CHECK(status_line(idle) == "sda1: seeding");
}

TEST_CASE("a summary adds the bytes left or uploaded, and the cache once its numbers are known") {
    auto status = status_of(image_state::downloading);
    CHECK(summary_line(status, {}) == "downloading 99%, 1 MiB/s, 1 peer, 3 MiB left, about 3s");
    status.peers = 0; // the rate of peers that have left is meaningless
    CHECK(summary_line(status, {}) == "downloading 99%, 1 MiB/s, 0 peers, 3 MiB left");
    CHECK(summary_line(status_of(image_state::seeding), {}) == "seeding, 1.5 MiB/s to 1 peer, 5 MiB uploaded");
    CHECK(summary_line(status_of(image_state::verifying), {}) == "verifying 99%");
    piece_cache::statistics cache;
    cache.hits = 3;
    cache.misses = 1;
    cache.locks = 400;
    cache.contended = 1;
    CHECK(summary_line(status_of(image_state::verifying), cache) ==
          "verifying 99%; all images: cache hit rate 75.0%, lock contention 0.25%");
}
